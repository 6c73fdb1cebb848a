/** A receipt by what a person has of it: its id, its file, or where it is served. */
import { Malformed, PARTS, parseEntry, parseNoteKey, parseReceiptFile, verifyReceiptFile } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { UnreachableError } from "../errors.ts";
import { createHttp } from "../http.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import {
  findNetwork,
  GIVEN,
  isUrl,
  keyInPolicy,
  type LogKey,
  MET_BEFORE,
  type NetworkOptions,
  type NetworkPlace,
  trustOf,
} from "./networks.ts";
import { UsageError, waiting } from "./terminal.ts";

const ID = /^[0-9a-f]{64}$/;

/** A receipt's file, and the log's key to verify it by where one is known. */
export type FoundReceipt = {
  file: Uint8Array;
  logKey?: LogKey;
  note?: string;
  /** The network that was asked, where one was: where it is, how it was named, and who may ask it. */
  url?: string;
  network?: string;
  apiKey?: string;
};

/** Finds the file of `what`. A receipt of this user's own is opened with the half kept for it. */
export async function findReceipt(what: string, options: NetworkOptions, context: Context): Promise<FoundReceipt> {
  if (ID.test(what)) return fetchReceipt(what, options, context);
  const match = /^(https?:\/\/.+)\/v1\/receipts\/([0-9a-f]{64})$/.exec(what);
  if (match !== null) return fetchReceipt(match[2] ?? "", { ...options, network: match[1] ?? "" }, context);
  const file = isUrl(what) ? await createHttp(what, context.edges).bytes("") : await findFile(what);
  if (file === undefined)
    throw new UsageError(`${what} is neither a receipt id of 64 hex digits, nor a file, nor a URL`);
  const logKey = await findLogKey(file, options, context);
  const place = options.network === undefined ? {} : placeOf(await findNetwork(options, context), options);
  return { file, ...place, ...(logKey === undefined ? {} : { logKey }) };
}

/** What a found receipt says of the network that was asked. */
function placeOf({ url, apiKey }: NetworkPlace, { network }: NetworkOptions): Partial<FoundReceipt> {
  return { url, ...(network === undefined ? {} : { network }), ...(apiKey === undefined ? {} : { apiKey }) };
}

async function fetchReceipt(id: string, options: NetworkOptions, context: Context): Promise<FoundReceipt> {
  const { home, edges, terminal } = context;
  const kept = await findFile(home.receiptPath(id));
  try {
    const found = await findNetwork(options, context);
    const { url, logKey } = found;
    if (kept !== undefined) {
      const { outcome } = await verifyReceiptFile(kept, await trustOf(logKey, context.policy));
      if (outcome === "failed")
        return { file: kept, logKey, note: `this is the receipt as it was kept in ${home.receiptPath(id)}` };
    }
    const opening = kept === undefined ? undefined : parseReceiptFile(kept).opening;
    const fetching = createClient({ url, edges }).receiptFile(id, opening);
    return { file: await waiting(terminal, "waiting for the receipt", fetching), logKey, ...placeOf(found, options) };
  } catch (error) {
    if (kept === undefined || !(error instanceof UnreachableError)) throw error;
    const note = "the network is not reachable: this is the receipt as it was kept here";
    const logKey = await findLogKey(kept, options, context);
    return logKey === undefined ? { file: kept, note } : { file: kept, logKey, note };
  }
}

/** The key of the log that a file says it is from: given, met before, or said by the network that is meant. */
async function findLogKey(file: Uint8Array, options: NetworkOptions, context: Context): Promise<LogKey | undefined> {
  if (options.vkey !== undefined)
    return {
      vkey: options.vkey,
      because: GIVEN,
      handovers: await context.home.findHandovers(parseNoteKey(options.vkey).name),
    };
  const origins = originsIn(file);
  for (const origin of origins) {
    const [own, met] = [keyInPolicy(context, origin), await context.home.findLog(origin)];
    const vkey = own ?? met;
    if (vkey === undefined) continue;
    const because = own === undefined ? MET_BEFORE : GIVEN;
    return { vkey, because, handovers: await context.home.findHandovers(origin) };
  }
  if (origins.size === 0) return undefined;
  try {
    const { logKey } = await findNetwork(options, context);
    return origins.has(parseNoteKey(logKey.vkey).name) ? logKey : undefined;
  } catch (error) {
    if (error instanceof UnreachableError) return undefined; // The verdict will say that no key is known.
    throw error;
  }
}

/** Every log that a file names: more than one where it was changed, and then the key of any of them shows that. */
function originsIn(file: Uint8Array): Set<string> {
  try {
    const { parts } = parseReceiptFile(file);
    const origins = PARTS.flatMap((part) => parts[part].proof?.checkpoint.origin ?? []);
    const grant = parseEntry(parts.grant.bytes);
    return new Set(grant.kind === "grant" ? [...origins, grant.says.origin] : origins);
  } catch (error) {
    if (error instanceof Malformed) return new Set(); // Verifying it will say what is wrong.
    throw error;
  }
}
