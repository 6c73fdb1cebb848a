/** The receipt of an answer that this user got: fetched, verified, and kept with the half that is the user's own. */
import { acceptanceJson, parseHex, type Verdict, type VerifiedReceipt } from "@tallystick/protocol";
import type { Answer, CallTerms, Client } from "../client.ts";
import { UnreachableError } from "../errors.ts";
import { ASKED_TIERS } from "../session.ts";
import { readAcceptance } from "./accept.ts";
import type { Context } from "./context.ts";
import { writePrivately } from "./home.ts";
import { UsageError, waiting } from "./terminal.ts";

export type KeptReceipt = { verdict: Verdict<VerifiedReceipt>; receiptFile: string };

export async function keepReceipt(
  client: Client,
  answer: Pick<Answer, "receiptId" | "opening">,
  save: string | undefined,
  { terminal, home }: Context,
): Promise<KeptReceipt> {
  const file = await waiting(terminal, "waiting for the receipt", fetchFile(client, answer));
  const verdict = await client.verify(file);
  const kept = home.receiptPath(answer.receiptId);
  await writePrivately(kept, file); // Before the user's own choice of a place, which may not be writable.
  if (save !== undefined) await writePrivately(save, file);
  return { verdict, receiptFile: save ?? kept };
}

/** An answer whose receipt cannot be had at once is still in the log: its id must not be lost. */
async function fetchFile(
  client: Client,
  { receiptId, opening }: Pick<Answer, "receiptId" | "opening">,
): Promise<Uint8Array> {
  try {
    return await client.receiptFile(receiptId, opening);
  } catch (cause) {
    if (!(cause instanceof UnreachableError)) throw cause;
    throw new UnreachableError(`the call was answered as receipt ${receiptId}, but then there was ${cause.message}`, {
      cause,
      receiptId,
    });
  }
}

export type TermArguments = { decision?: string; maxPrice?: string; tier?: string; open?: string; accept?: string };

/** What a call is signed with, as the command's options say it. */
export async function termsOf({ decision, maxPrice, tier: word, open, accept }: TermArguments): Promise<CallTerms> {
  const bytes = decision === undefined ? undefined : parseHex(decision);
  if (decision !== undefined && bytes?.length !== 16)
    throw new UsageError("--decision takes 32 digits of lower-case hex");
  if (maxPrice !== undefined && !/^[0-9]{1,19}$/.test(maxPrice))
    throw new UsageError("--max-price takes a whole number of atomic units");
  const tier = ASKED_TIERS.find((one) => one === word);
  if (word !== undefined && tier === undefined)
    throw new UsageError(`--tier takes one of ${ASKED_TIERS.join(", ")}, not ${word}`);
  if (open !== undefined && open !== "lot" && open !== "none")
    throw new UsageError(`--open takes lot or none, not ${open}`);
  return {
    ...(open === undefined ? {} : { open }),
    ...(accept === undefined ? {} : { policy: acceptanceJson(await readAcceptance(accept)) }),
    ...(tier === undefined ? {} : { tier }),
    ...(bytes === undefined ? {} : { decision: bytes }),
    ...(maxPrice === undefined ? {} : { maxPrice: BigInt(maxPrice) }),
  };
}
