/** `tally chat` and `tally embed`: a language model asked by a session key of this process, its answer checked as it comes. */
import { text } from "node:stream/consumers";
import { isJsonObject, type JsonObject } from "@tallystick/protocol";
import { createClient } from "../client.ts";
import { fieldOf } from "../http.ts";
import type { Context } from "./context.ts";
import { type KeptReceipt, keepReceipt, type TermArguments, termsOf } from "./kept-receipt.ts";
import { nameOf } from "./named-model.ts";
import { type AskingOptions, openAsking } from "./networks.ts";
import { type Exit, printable, UsageError, waiting } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";

export type ChatArguments = AskingOptions &
  TermArguments & {
    model: string;
    prompt: string;
    maxTokens?: string;
    save?: string;
    json: boolean;
    /** Prints what a signature of the node covers, and no word before. */
    hold: boolean;
  };

/** The answer goes to standard output as it comes; its receipt and what was checked follow on standard error. */
export async function chat(args: ChatArguments, context: Context): Promise<Exit> {
  const { terminal } = context;
  const terms = await termsOf(args);
  const { logKey, ...place } = await openAsking(args, context);
  const client = createClient(place);
  const model = await nameOf(client, args.model, terminal);
  const stream = await client.chat(
    { ...bodyOf({ ...args, model }, await textOf(args.prompt)), stream: true },
    { ...terms, hold: args.hold },
  );
  let said = "";
  for await (const chunk of stream) {
    const piece = pieceOf(chunk);
    said += piece;
    if (!args.json) terminal.out(lines(piece));
  }
  if (!args.json && !said.endsWith("\n")) terminal.out("\n");
  const answer = await stream.verified;
  const kept = await keepReceipt(client, answer, args.save, context);
  if (args.json) terminal.out(json({ text: said, receiptId: answer.receiptId, model }, kept));
  else
    terminal.err(
      `\nreceipt  ${answer.receiptId}\nkept in  ${kept.receiptFile}\n\n${verdictText(kept.verdict, logKey)}`,
    );
  return exitOf(kept.verdict);
}

export type EmbedArguments = AskingOptions &
  TermArguments & { model: string; text: string; save?: string; json: boolean };

/** The vector goes to standard output, as JSON. */
export async function embed(args: EmbedArguments, context: Context): Promise<Exit> {
  const { terminal } = context;
  const terms = await termsOf(args);
  const { logKey, ...place } = await openAsking(args, context);
  const client = createClient(place);
  const model = await nameOf(client, args.model, terminal);
  const asking = client.embed({ model, input: await textOf(args.text), encoding_format: "float" }, terms);
  const answer = await waiting(terminal, `asking ${model}`, asking);
  const [row] = Array.isArray(answer.body.data) ? answer.body.data : [];
  const embedding = fieldOf(row, "embedding");
  const kept = await keepReceipt(client, answer, args.save, context);
  if (args.json) terminal.out(json({ embedding, receiptId: answer.receiptId, model }, kept));
  else {
    terminal.out(`${JSON.stringify(embedding)}\n`);
    terminal.err(
      `\nreceipt  ${answer.receiptId}\nkept in  ${kept.receiptFile}\n\n${verdictText(kept.verdict, logKey)}`,
    );
  }
  return exitOf(kept.verdict);
}

async function textOf(given: string): Promise<string> {
  return given === "-" ? text(process.stdin) : given;
}

function bodyOf({ model, maxTokens }: ChatArguments, prompt: string): JsonObject {
  if (maxTokens !== undefined && !/^[1-9][0-9]{0,6}$/.test(maxTokens))
    throw new UsageError("--max-tokens takes a whole number");
  const limit = maxTokens === undefined ? {} : { max_completion_tokens: Number(maxTokens) };
  return { model, messages: [{ role: "user", content: prompt }], ...limit };
}

function pieceOf({ choices }: JsonObject): string {
  const [choice] = Array.isArray(choices) ? choices : [];
  const delta = isJsonObject(choice) ? choice.delta : undefined;
  return isJsonObject(delta) && typeof delta.content === "string" ? delta.content : "";
}

/** Text of a model with its lines kept, and nothing in it that steers the terminal. */
function lines(piece: string): string {
  return piece.split("\n").map(printable).join("\n");
}

function json(answer: Record<string, unknown>, { receiptFile, verdict: { outcome, checks } }: KeptReceipt): string {
  return `${JSON.stringify({ ...answer, receiptFile, outcome, checks })}\n`;
}
