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
import { expect, vi } from "vitest";

export async function entriesAt(url: string): Promise<Uint8Array[]> {
  const bytesOf = async (answer: Response) => new Uint8Array(await answer.arrayBuffer());
  const { size } = parseCheckpoint(await bytesOf(await fetch(`${url}/checkpoint`)));
  const bundle = (index: number, width: number) => fetch(`${url}/${tilePath({ level: "entries", index, width })}`);
  const entries: Uint8Array[] = [];
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = tileWidth("entries", index, size);
    const exact = await bundle(index, width);
    // A partial bundle may have given way to the full one since the checkpoint was read.
    const [answer, held] = exact.ok ? [exact, width] : [await bundle(index, TILE_WIDTH), TILE_WIDTH];
    entries.push(...parseBundle(await bytesOf(answer), held).slice(0, width));
  }
  return entries;
}

/** Waits until an epoch covers every entry before it. From then on nothing is published until somebody asks for something. */
export async function standstill(url: string): Promise<void> {
  const isStill = async () => {
    const entries = await entriesAt(url);
    const last = parseEntry(entries.at(-1) ?? new Uint8Array(0));
    expect(last.kind === "epoch" && parseCheckpoint(last.says.checkpoint).size).toBe(entries.length - 1);
  };
  await vi.waitFor(isStill, { timeout: 60_000, interval: 100 });
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
