/** The entries of a published log, read as anybody may: its checkpoint and bundles over HTTP. */
import {
  hex,
  parseAuthorization,
  parseBundle,
  parseCheckpoint,
  parseEntry,
  signedId,
  TILE_WIDTH,
  tilePath,
  tileWidth,
} from "@tallystick/protocol";

export async function entriesAt(url: string): Promise<Uint8Array[]> {
  const bytesOf = async (path: string) => new Uint8Array(await (await fetch(`${url}/${path}`)).arrayBuffer());
  const { size } = parseCheckpoint(await bytesOf("checkpoint"));
  const entries: Uint8Array[] = [];
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = tileWidth("entries", index, size);
    entries.push(...parseBundle(await bytesOf(tilePath({ level: "entries", index, width })), width));
  }
  return entries;
}

/** The ids of the receipts among `entries`. */
export function receiptIdsOf(entries: readonly Uint8Array[]): Set<string> {
  return new Set(
    entries.map(parseEntry).flatMap((entry) => {
      if (entry.kind !== "receipt") return [];
      return [hex(signedId(parseAuthorization(entry.says.authorization).signed))];
    }),
  );
}
