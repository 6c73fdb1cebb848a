/** A receipt by what a person has of it: its id, its file, or where it is served. */
import { Malformed, type Opening, parseReceiptFile } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { UnreachableError } from "../errors.ts";
import { createHttp } from "../http.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import { findNetwork, isUrl, type NetworkOptions } from "./networks.ts";
import { UsageError } from "./terminal.ts";

const ID = /^[0-9a-f]{64}$/;

/** A receipt's file, and the vkey to verify it by where one is known. */
export type FoundReceipt = { file: Uint8Array; vkey?: string; note?: string };

/** Finds the file of `what`. A receipt of this user's own is opened with the half kept for it. */
export async function findReceipt(what: string, options: NetworkOptions, context: Context): Promise<FoundReceipt> {
  if (ID.test(what)) return fetchReceipt(what, options, context);
  const match = /^(https?:\/\/.+)\/v1\/receipts\/([0-9a-f]{64})$/.exec(what);
  if (match !== null) return fetchReceipt(match[2] ?? "", { ...options, network: match[1] ?? "" }, context);
  const file = isUrl(what) ? await createHttp(what, context.edges).bytes("") : await findFile(what);
  if (file === undefined)
    throw new UsageError(`${what} is neither a receipt id of 64 hex digits, nor a file, nor a URL`);
  const vkey = options.vkey ?? (await knownVkey(file, context));
  return vkey === undefined ? { file } : { file, vkey };
}

async function fetchReceipt(id: string, options: NetworkOptions, context: Context): Promise<FoundReceipt> {
  const kept = await findFile(context.home.receiptPath(id));
  try {
    const { url, vkey } = await findNetwork(options, context.home, context.edges, context.env);
    const file = await createClient({ url, edges: context.edges }).receiptFile(
      id,
      kept === undefined ? undefined : openingIn(kept),
    );
    return { file, vkey };
  } catch (error) {
    if (kept === undefined || !(error instanceof UnreachableError || error instanceof UsageError)) throw error;
    const vkey = options.vkey ?? (await knownVkey(kept, context));
    const note = "the network is not reachable: this is the receipt as it was kept here";
    return vkey === undefined ? { file: kept, note } : { file: kept, vkey, note };
  }
}

/** The vkey of the log that a file says it is from, where that log was met before. */
async function knownVkey(file: Uint8Array, { home }: Context): Promise<string | undefined> {
  try {
    const origin = parseReceiptFile(file).parts.receipt.proof?.checkpoint.origin;
    return origin === undefined ? undefined : await home.findLog(origin);
  } catch (error) {
    if (error instanceof Malformed) return undefined; // Verifying it will say what is wrong.
    throw error;
  }
}

function openingIn(kept: Uint8Array): Opening | undefined {
  return parseReceiptFile(kept).opening;
}
