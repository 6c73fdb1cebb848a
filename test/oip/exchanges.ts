/** Recorded exchanges between Triton's own HTTP client and a network (record.py), and how they are read and sent again. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import {
  bytesTensor,
  floatTensor,
  parseBase64,
  parseTensorJson,
  type Tensor,
  type TensorJson,
  utf8,
} from "@tallystick/protocol";

/** One side of an exchange: its first line and its headers, and its body. */
export type Message = { head: string[]; body: Uint8Array };
export type Exchange = { name: string; request: Message; response: Message };

const read = (name: string): unknown => JSON.parse(readFileSync(join(import.meta.dirname, name), "utf8"));
const bytesOf = (text: string) => parseBase64(text) ?? new Uint8Array();

type Recorded = { head: string[]; body: string };
const { exchanges } = read("exchanges.json") as {
  exchanges: { name: string; request: Recorded; response: Recorded }[];
};
/** The model was of this version when it was recorded; the one that it is of now is as long. */
const RECORDED_VERSION = "1.0.0";
const VERSION = "1.1.0";
const ofNow = (text: string) => text.replaceAll(RECORDED_VERSION, VERSION);
const messageOf = ({ head, body }: Recorded): Message => ({
  head: head.map(ofNow),
  body: new Uint8Array(Buffer.from(ofNow(Buffer.from(bytesOf(body)).toString("latin1")), "latin1")),
});

export const EXCHANGES: Exchange[] = exchanges.map(({ name, request, response }) => ({
  name,
  request: messageOf(request),
  response: messageOf(response),
}));

const given = read("inputs.json") as { features: number[][]; texts: string[]; image: string };

/** What record.py gave Triton's client for each model, as tensors. */
export const INPUTS: Record<string, Tensor> = {
  "wisconsin/breast-cancer": floatTensor("features", [given.features.length, 30], given.features.flat()),
  "guardrail/prompt-injection": bytesTensor("text", given.texts.map(utf8)),
  "paddle/text-recognizer": bytesTensor("image", [bytesOf(given.image)]),
};

export function headerOf({ head }: Message, name: string): string | undefined {
  const line = head.find((each) => each.toLowerCase().startsWith(`${name}: `));
  return line?.slice(name.length + 2);
}

export type InferResponse = {
  model_name: string;
  parameters: { receipt_id: string; receipt: string; request_salt: string; response_salt: string };
  outputs: (TensorJson & { parameters?: { binary_data_size?: number } })[];
};

/** The JSON of an answer, the tensors in it, and which of them came in binary. */
export function readInferResponse(message: Message): { json: InferResponse; outputs: Tensor[]; binary: string[] } {
  const { body } = message;
  let at = Number(headerOf(message, "inference-header-content-length") ?? body.length);
  const json = JSON.parse(Buffer.from(body.subarray(0, at)).toString()) as InferResponse;
  const binary: string[] = [];
  const outputs = json.outputs.map((output) => {
    const sizeBytes = output.parameters?.binary_data_size;
    if (sizeBytes === undefined) return parseTensorJson(output);
    const { name, datatype, shape } = output;
    binary.push(name);
    at += sizeBytes;
    return { name, datatype, shape, data: body.subarray(at - sizeBytes, at) };
  });
  return { json, outputs, binary };
}

/** Sends a request's very bytes to `url` over a socket of its own, with `apiKey` where KEY stands, and reads the answer. */
export function send(url: string, { head, body }: Message, apiKey: string): Promise<Message> {
  const { hostname, port } = new URL(url);
  const start = `${head.join("\r\n").replace("Bearer KEY", `Bearer ${apiKey}`)}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    let said = Buffer.alloc(0);
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.concat([Buffer.from(start), body])));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`only ${said.length} bytes came back`)));
    socket.on("data", (chunk) => {
      said = Buffer.concat([said, chunk]);
      const end = said.indexOf("\r\n\r\n");
      if (end < 0) return;
      const answer = { head: said.subarray(0, end).toString("latin1").split("\r\n"), body: said.subarray(end + 4) };
      if (answer.body.length < Number(headerOf(answer, "content-length"))) return;
      resolve(answer);
      socket.destroy();
    });
  });
}
