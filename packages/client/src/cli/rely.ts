/** `tally rely`: signs that its user acts on an answer. */
import { hex, PURPOSES, type Purpose, parseReceiptFile, valueBucketOf } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import type { Reliance } from "../statements.ts";
import type { Context } from "./context.ts";
import { findNetwork, type NetworkOptions } from "./networks.ts";
import { openOwnKey } from "./relier-key.ts";
import { EXIT, type Exit, printable, UsageError } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";
import { examine } from "./verify.ts";

export type RelyArguments = NetworkOptions & {
  what: string;
  key?: string;
  accept?: string;
  /** What is said of the reliance, for everybody to see. */
  purpose?: string;
  atStake?: string;
  domain?: string;
  json: boolean;
};

/** Verifies first: nobody should sign that they act on what does not hold, or was found wrong, or is less than they accept. */
export async function rely(
  { key, json, purpose, atStake, domain, ...args }: RelyArguments,
  context: Context,
): Promise<Exit> {
  const { terminal, home, edges } = context;
  const reliance = relianceOf(purpose, atStake, domain);
  const { url } = await findNetwork(args, context);
  const { found, verdict, limits } = await examine({ ...args, network: args.network ?? url }, context);
  if (verdict.outcome !== "verified") {
    terminal.err(verdictText(verdict, found.logKey, limits));
    return exitOf(verdict);
  }
  const signer = await openOwnKey("relier", key ?? home.relierKeyPath, key === undefined, terminal);
  const receiptId = hex(parseReceiptFile(found.file).id);
  const client = createClient({ url, edges });
  const { index, alreadyLogged } = await client.rely(receiptId, signer, "relier", reliance);
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

function relianceOf(purpose: string | undefined, atStake: string | undefined, domain: string | undefined): Reliance {
  if (purpose !== undefined && !isPurpose(purpose))
    throw new UsageError(`--purpose is one of ${Object.keys(PURPOSES).join(", ")}: not ${printable(purpose)}`);
  if (atStake !== undefined && !/^[0-9]{1,20}$/.test(atStake))
    throw new UsageError(`--at-stake is a number of atomic units: not ${printable(atStake)}`);
  const valueBucket = atStake === undefined ? undefined : valueBucketOf(BigInt(atStake));
  return {
    ...(purpose === undefined ? {} : { purpose }),
    ...(valueBucket === undefined ? {} : { valueBucket }),
    ...(domain === undefined ? {} : { domain }),
  };
}

function isPurpose(word: string): word is Purpose {
  return Object.hasOwn(PURPOSES, word);
}
