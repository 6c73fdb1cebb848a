/** `tally infer`: runs a model, keeps the requester's half, prints the answer. */
import { bytesElements, encodeTensorJson, Malformed, parseHex, parseUtf8, type Tensor } from "@tallystick/protocol";
import { type Client, createClient } from "../client.ts";
import { createInputs } from "../inputs.ts";
import type { Model } from "../models.ts";
import type { Context } from "./context.ts";
import { findFile, writePrivately } from "./home.ts";
import { findNetwork, type NetworkOptions, trustOf } from "./networks.ts";
import { EXIT, type Exit, printable, UsageError } from "./terminal.ts";
import { exitOf, verdictText } from "./verdict-text.ts";

export type InferArguments = NetworkOptions & {
  model: string;
  input?: string;
  example: boolean;
  save?: string;
  json: boolean;
  decision?: string;
  maxPrice?: string;
};

/** As many values of an output as a person reads. */
const VALUES_SHOWN = 12;

export async function infer(args: InferArguments, context: Context): Promise<Exit> {
  const { terminal, home, edges, env } = context;
  const { url, apiKey, vkey } = await findNetwork(args, home, edges, env);
  if (apiKey === undefined) throw new UsageError("asking needs an API key: give --api-key, or set TALLYSTICK_API_KEY");
  const client = createClient({ url, apiKey, trust: trustOf(vkey), edges });
  const model = await client.model(args.model);
  const inputs = inputsOf(model, await readInput(client, model, args));
  const answer = await client.infer(model, inputs, optionsOf(args));
  const file = await client.receiptFile(answer.receiptId, answer.opening);
  const verdict = await client.verify(file);
  const path = args.save ?? home.receiptPath(answer.receiptId);
  await writePrivately(path, file);
  if (args.save !== undefined) await writePrivately(home.receiptPath(answer.receiptId), file);
  const { name, version, revision } = model;
  if (args.json) {
    const outputs = answer.outputs.map(encodeTensorJson);
    const { outcome, checks } = verdict;
    terminal.out(
      `${JSON.stringify({ outputs, receiptId: answer.receiptId, receiptFile: path, model: { name, version, revision }, outcome, checks })}\n`,
    );
  } else {
    terminal.out(
      `${answer.outputs.map((output) => outputText(output, model)).join("\n")}\n\nreceipt  ${answer.receiptId}\nkept in  ${path}\n`,
    );
    if (verdict.outcome !== "verified") terminal.err(verdictText(verdict));
  }
  return verdict.outcome === "verified" ? EXIT.ok : exitOf(verdict);
}

async function readInput(client: Client, model: Model, { input, example }: InferArguments): Promise<Uint8Array> {
  if (example) {
    const artifact = model.artifacts.find(({ role }) => role === "example");
    if (artifact === undefined) throw new UsageError(`${model.name} comes without an example: give --input`);
    return client.artifact(artifact.sha256);
  }
  if (input === undefined)
    throw new UsageError(`what shall ${model.name} run on? Give --input FILE or TEXT, or --example`);
  return (await findFile(input)) ?? textInput(model, input);
}

function inputsOf(model: Model, given: Uint8Array): Tensor[] {
  try {
    return createInputs(model.forms, given);
  } catch (cause) {
    if (cause instanceof Malformed) throw new UsageError(`the input ${cause.message}`, { cause });
    throw cause;
  }
}

/** What is no file is the input itself, where the model takes a text or JSON. */
function textInput(model: Model, input: string): Uint8Array {
  const content = model.forms[0]?.[0]?.content;
  if (content === "image" || content === "wav")
    throw new UsageError(
      `no file ${input}: ${model.name} takes a file with ${content === "wav" ? "a WAV" : "an image"}`,
    );
  return new TextEncoder().encode(input);
}

function optionsOf({ decision, maxPrice }: InferArguments): { decision?: Uint8Array; maxPrice?: bigint } {
  const bytes = decision === undefined ? undefined : parseHex(decision);
  if (decision !== undefined && bytes?.length !== 16)
    throw new UsageError("--decision takes 32 digits of lower-case hex");
  if (maxPrice !== undefined && !/^[0-9]{1,20}$/.test(maxPrice))
    throw new UsageError("--max-price takes a whole number of atomic units");
  return {
    ...(bytes === undefined ? {} : { decision: bytes }),
    ...(maxPrice === undefined ? {} : { maxPrice: BigInt(maxPrice) }),
  };
}

/** An output as a person reads it: texts as they are, numbers with their names where they have some. */
function outputText(output: Tensor, { outputs }: Model): string {
  const { name, datatype, shape } = output;
  if (datatype === "BYTES") {
    const texts = bytesElements(output).map((element) => parseUtf8(element) ?? `(${element.length} bytes)`);
    return texts.map(printable).join("\n");
  }
  const columns = outputs.find((spec) => spec.name === name)?.columns;
  const values = encodeTensorJson(output).data.map((value) =>
    typeof value === "number" ? Number(value.toPrecision(7)) : value,
  );
  const shown = values
    .slice(0, VALUES_SHOWN)
    .map((value, i) => (columns?.[i] === undefined ? String(value) : `${columns[i]} ${value}`));
  const rest = values.length > VALUES_SHOWN ? ` … ${values.length} values of shape [${shape}]` : "";
  return `${name}: ${shown.join(", ")}${rest}`;
}
