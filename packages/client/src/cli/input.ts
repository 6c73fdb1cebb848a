/** What a model is to run on: its own example, a file, standard input, or what stands on the command line. */
import { buffer } from "node:stream/consumers";
import { utf8 } from "@tallystick/protocol";
import type { Client } from "../client.ts";
import type { Model } from "../models.ts";
import { findFile } from "./home.ts";
import { type Terminal, UsageError } from "./terminal.ts";

export type InputArguments = { input?: string; example: boolean };

export async function readInput(
  client: Client,
  model: Model,
  { input, example }: InputArguments,
  terminal: Pick<Terminal, "err">,
): Promise<Uint8Array> {
  if (example && input !== undefined) throw new UsageError("give either --input or --example");
  if (input === undefined) {
    const artifact = model.artifacts.find(({ role }) => role === "example");
    if (artifact === undefined) throw new UsageError(`${model.name} comes without an example: give --input`);
    if (!example) terminal.err(`no --input: ${model.name} runs on its own example\n`);
    return client.artifact(artifact.sha256);
  }
  if (input === "-") return new Uint8Array(await buffer(process.stdin));
  return (await findFile(input)) ?? inlineInput(model, input);
}

/** What is no file is the input itself, where the model takes a text or JSON. */
function inlineInput(model: Model, input: string): Uint8Array {
  const content = model.forms[0]?.[0]?.content;
  if (content === "image" || content === "wav")
    throw new UsageError(
      `no file ${input}: ${model.name} takes a file with ${content === "wav" ? "a WAV" : "an image"}`,
    );
  return utf8(input);
}
