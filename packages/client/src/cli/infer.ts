/** `tally infer`: runs a model, keeps the requester's half, prints the answer. */
import { encodeTensorJson, Malformed, type Tensor, type Verdict, type VerifiedReceipt } from "@tallystick/protocol";
import { type Answer, type Client, createClient, type InferOptions } from "../client.ts";
import { createInputs } from "../inputs.ts";
import type { Model } from "../models.ts";
import type { Context } from "./context.ts";
import { type InputArguments, readInput } from "./input.ts";
import { keepReceipt, type TermArguments, termsOf } from "./kept-receipt.ts";
import { nameOf } from "./named-model.ts";
import { type AskingOptions, openAsking } from "./networks.ts";
import { outputText } from "./output-text.ts";
import { type Exit, printable, UsageError, waiting } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";

export type InferArguments = AskingOptions &
  InputArguments &
  TermArguments & { model: string; save?: string; json: boolean };

export async function infer(args: InferArguments, context: Context): Promise<Exit> {
  const { terminal } = context;
  const options = await termsOf(args);
  const { logKey, ...place } = await openAsking(args, context);
  const client = createClient(place);
  const model = await client.model(await nameOf(client, args.model, terminal));
  const given = await readInput(client, model, args, terminal);
  // A proof is of one row, and an example may have several.
  const isFirstRow = options.tier === "proved" && args.input === undefined;
  const asking = ask(client, model, { given, isFirstRow }, options);
  const answer = await waiting(terminal, `asking ${model.name}`, asking);
  const { verdict, receiptFile } = await keepReceipt(client, answer, args.save, context);
  terminal.out(args.json ? answerJson(answer, model, verdict, receiptFile) : answerText(answer, model, receiptFile));
  if (!args.json) terminal.err(besideAnswer(answer, options));
  if (!args.json && verdict.outcome !== "verified") terminal.err(verdictText(verdict, logKey));
  return exitOf(verdict);
}

/** What is still to come, and how the answer met the caller's policy. */
function besideAnswer({ checks, receiptId }: Answer, { tier }: InferOptions): string {
  const ofPolicy = checks.filter(({ name }) => name.startsWith("policy: "));
  const lines = ofPolicy.map(({ name, state, detail }) => `${name}: ${state.replace("_", " ")}, ${detail}`);
  const proof =
    tier === "proved" ? [`its proof is made behind the answer: tally verify ${receiptId} waits for it`] : [];
  return [...lines, ...proof].map((line) => `${printable(line)}\n`).join("");
}

/** What is malformed here can only be the user's input: of the network's answers the client says so itself. */
async function ask(
  client: Client,
  model: Model,
  { given, isFirstRow }: { given: Uint8Array; isFirstRow: boolean },
  options: InferOptions,
): Promise<Answer> {
  try {
    const inputs = createInputs(model.forms, given);
    return await client.infer(model, isFirstRow ? inputs.map(firstRow) : inputs, options);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UsageError(`the input ${cause.message}`, { cause });
    throw cause;
  }
}

function firstRow(input: Tensor): Tensor {
  const [rows = 1, ...rest] = input.shape;
  return { ...input, shape: [1, ...rest], data: input.data.slice(0, input.data.length / rows) };
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
