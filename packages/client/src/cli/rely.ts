/** `tally rely`: signs that its user acts on an answer. */
import { hex, parseReceiptFile } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import type { Context } from "./context.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { openOwnKey } from "./relier-key.ts";
import { EXIT, type Exit, printable } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";
import { examine } from "./verify.ts";

export type RelyArguments = NetworkOptions & { what: string; key?: string; accept?: string; json: boolean };

/** Verifies first: nobody should sign that they act on what does not hold, or was found wrong, or is less than they accept. */
export async function rely({ key, json, ...args }: RelyArguments, context: Context): Promise<Exit> {
  const { terminal, home, edges } = context;
  const { url } = await findNetwork(args, context);
  const { found, verdict, limits } = await examine({ ...args, network: args.network ?? url }, context);
  if (verdict.outcome !== "verified") {
    terminal.err(verdictText(verdict, found.logKey, limits));
    return exitOf(verdict);
  }
  const signer = await openOwnKey("relier", key ?? home.relierKeyPath, key === undefined, terminal);
  const receiptId = hex(parseReceiptFile(found.file).id);
  const client = createClient({ url, edges });
  const { index, alreadyLogged } = await client.rely(receiptId, signer, "relier");
  const { decisionsReliedOn } = (await client.usage()).totals;
  if (json) terminal.out(`${JSON.stringify({ receiptId, index, alreadyLogged, decisionsReliedOn })}\n`);
  else {
    const done = alreadyLogged
      ? `you relied on this decision before: entry ${index}`
      : `relied on, as entry ${index} of the log`;
    terminal.out(`${done}\n${printable(`decisions relied on: ${decisionsReliedOn}`)}\n`);
  }
  return EXIT.ok;
}
