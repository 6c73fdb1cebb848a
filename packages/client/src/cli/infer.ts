/** `tally infer`: runs a model, keeps the requester's half, prints the answer. */
import { encodeTensorJson, Malformed, parseHex, type Verdict, type VerifiedReceipt } from "@tallystick/protocol";
import { type Answer, type Client, createClient, type InferOptions } from "../client.ts";
import { UnreachableError } from "../errors.ts";
import { createInputs } from "../inputs.ts";
import type { Model } from "../models.ts";
import type { Context } from "./context.ts";
import { writePrivately } from "./home.ts";
import { type InputArguments, readInput } from "./input.ts";
import { findNetwork, type NetworkOptions, trustOf } from "./networks.ts";
import { outputText } from "./output-text.ts";
import { type Exit, UsageError, waiting } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";

export type InferArguments = NetworkOptions &
  InputArguments & { model: string; save?: string; json: boolean; decision?: string; maxPrice?: string };

export async function infer(args: InferArguments, context: Context): Promise<Exit> {
  const { terminal, home, edges } = context;
  const options = optionsOf(args);
  const { url, apiKey, logKey } = await findNetwork(args, context);
  if (apiKey === undefined) throw new UsageError("asking needs an API key: give --api-key, or set TALLYSTICK_API_KEY");
  const client = createClient({ url, apiKey, trust: await trustOf(logKey, context.policy), edges });
  const model = await client.model(args.model);
  const given = await readInput(client, model, args);
  const answer = await waiting(terminal, `asking ${model.name}`, ask(client, model, given, options));
  const file = await waiting(terminal, "waiting for the receipt", fetchFile(client, answer));
  const verdict = await client.verify(file);
  const kept = home.receiptPath(answer.receiptId);
  await writePrivately(kept, file); // Before the user's own choice of a place, which may not be writable.
  if (args.save !== undefined) await writePrivately(args.save, file);
  const receiptFile = args.save ?? kept;
  terminal.out(args.json ? answerJson(answer, model, verdict, receiptFile) : answerText(answer, model, receiptFile));
  if (!args.json && verdict.outcome !== "verified") terminal.err(verdictText(verdict, logKey));
  return exitOf(verdict);
}

function optionsOf({ decision, maxPrice }: InferArguments): InferOptions {
  const bytes = decision === undefined ? undefined : parseHex(decision);
  if (decision !== undefined && bytes?.length !== 16)
    throw new UsageError("--decision takes 32 digits of lower-case hex");
  if (maxPrice !== undefined && !/^[0-9]{1,19}$/.test(maxPrice))
    throw new UsageError("--max-price takes a whole number of atomic units");
  return {
    ...(bytes === undefined ? {} : { decision: bytes }),
    ...(maxPrice === undefined ? {} : { maxPrice: BigInt(maxPrice) }),
  };
}

/** What is malformed here can only be the user's input: of the network's answers the client says so itself. */
async function ask(client: Client, model: Model, given: Uint8Array, options: InferOptions): Promise<Answer> {
  try {
    return await client.infer(model, createInputs(model.forms, given), options);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UsageError(`the input ${cause.message}`, { cause });
    throw cause;
  }
}

/** An answer whose receipt cannot be had at once is still in the log: its id must not be lost. */
async function fetchFile(client: Client, { receiptId, opening }: Answer): Promise<Uint8Array> {
  try {
    return await client.receiptFile(receiptId, opening);
  } catch (cause) {
    if (!(cause instanceof UnreachableError)) throw cause;
    throw new UnreachableError(`the call was answered as receipt ${receiptId}, but then there was ${cause.message}`, {
      cause,
    });
  }
}

function answerJson(
  { outputs, receiptId }: Answer,
  { name, version, revision }: Model,
  { outcome, checks }: Verdict<VerifiedReceipt>,
  receiptFile: string,
): string {
  const model = { name, version, revision };
  return `${JSON.stringify({ outputs: outputs.map(encodeTensorJson), receiptId, receiptFile, model, outcome, checks })}\n`;
}

function answerText({ outputs, receiptId }: Answer, model: Model, receiptFile: string): string {
  const texts = outputs.map((output) => outputText(output, model.outputs));
  return `${texts.join("\n")}\n\nreceipt  ${receiptId}\nkept in  ${receiptFile}\n`;
}
