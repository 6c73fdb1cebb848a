import {
  commit,
  encodeAnswer,
  encodeCall,
  hex,
  parseAuthorization,
  parseBase64,
  parseEntry,
  signedId,
  type Tensor,
} from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "../network.ts";
import { EXCHANGES, headerOf, INPUTS, type Message, readInferResponse, send } from "./exchanges.ts";

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ models: ["breast-cancer", "prompt-injection", "paddle-text-recognizer"] });
});
afterAll(() => network[Symbol.asyncDispose]());

const byName = (name: string) => {
  const found = EXCHANGES.find((exchange) => exchange.name === name);
  if (found === undefined) throw new Error(`no exchange "${name}" was recorded`);
  return found;
};
const INFERENCES = EXCHANGES.filter(({ response }) => headerOf(response, "x-receipt-id") !== undefined);

test("what was recorded has tensors in JSON and in binary, in both directions", () => {
  const forms = INFERENCES.map(({ request, response }) =>
    [request, response]
      .map((side) => headerOf(side, "inference-header-content-length") !== undefined)
      .map((isBinary) => (isBinary ? "binary" : "JSON"))
      .join(" to "),
  );
  expect(new Set(forms)).toEqual(new Set(["binary to binary", "JSON to JSON", "JSON to binary", "binary to JSON"]));
});

test.each(EXCHANGES.map(({ name }) => name))(
  "%s: Triton's client is answered byte for byte as recorded",
  async (name) => {
    const { request, response } = byName(name);
    const answer = await send(network.url, request, network.apiKey);
    const recorded = withoutEvidence(response);
    expect(withoutEvidence(answer)).toEqual({ ...recorded, head: expect.arrayContaining(recorded.head) });
  },
);

test.each(INFERENCES.map(({ name }) => name))(
  "%s: the receipt in the response is for the tensors that were sent and those that came back, bit for bit",
  async (name) => {
    const { request, response } = byName(name);
    const answer = await send(network.url, request, network.apiKey);
    for (const message of [response, answer]) expectEvidence(request, message);
  },
);

test("one call has one answer, whichever of its tensors are in binary", () => {
  const answers = new Map<string, Set<string>>();
  for (const { response } of INFERENCES) {
    const { json, outputs } = readInferResponse(response);
    for (const { name, data } of outputs) {
      const key = `${json.model_name} ${name}`;
      answers.set(key, (answers.get(key) ?? new Set()).add(hex(data)));
    }
  }
  expect([...answers.values()].map(({ size }) => size)).toEqual([1, 1, 1, 1]);
});

test("with an Idempotency-Key a binary answer is given again, byte for byte, and is one call", async () => {
  const { request } = byName("BYTES, binary both ways");
  const keyed = { ...request, head: [...request.head, "idempotency-key: recorded"] };
  const first = await fetchAs(keyed);
  const second = await fetchAs(keyed);
  expect(first.jsonSizeBytes).toBeGreaterThan(0);
  expect(second).toEqual(first);
});

async function fetchAs({ head, body }: Message) {
  const headers = head.slice(1).filter((line) => !/^(host|content-length):/.test(line));
  const answer = await network.fetch((head[0] ?? "").split(" ")[1] ?? "", {
    method: "POST",
    headers: headers.map((line): [string, string] => {
      const [name = "", value = ""] = line.replace("Bearer KEY", `Bearer ${network.apiKey}`).split(": ");
      return [name, value];
    }),
    body: new Uint8Array(body),
  });
  return {
    status: answer.status,
    receiptId: answer.headers.get("x-receipt-id"),
    jsonSizeBytes: Number(answer.headers.get("inference-header-content-length")),
    body: Buffer.from(await answer.arrayBuffer()).toString("hex"),
  };
}

/** That a response's own parameters, without any other request, show the receipt to be for what was asked and answered. */
function expectEvidence(request: Message, message: Message): void {
  const { json, outputs } = readInferResponse(message);
  const { receipt_id, receipt, request_salt, response_salt } = json.parameters;
  const entry = parseEntry(parseBase64(receipt) ?? new Uint8Array());
  if (entry.kind !== "receipt" || entry.says.status !== "ok") throw new Error("it is no receipt of an answer");
  const { signed, says } = parseAuthorization(entry.says.authorization);
  expect(hex(signedId(signed))).toBe(receipt_id);
  expect(headerOf(message, "x-receipt-id")).toBe(receipt_id);
  const input = INPUTS[json.model_name];
  if (input === undefined) throw new Error(`nothing was recorded of ${json.model_name}`);
  const call = encodeCall({ operation: "infer", inputs: [input], outputs: wantedOf(request) });
  expect(says.request).toEqual(commit("request", parseBase64(request_salt) ?? new Uint8Array(), call));
  expect(entry.says.response).toEqual(openingOf(response_salt, outputs));
}

const openingOf = (salt: string, outputs: Tensor[]) =>
  commit("response", parseBase64(salt) ?? new Uint8Array(), encodeAnswer(outputs));

/** The outputs that a request names. */
function wantedOf(request: Message): string[] {
  const jsonSizeBytes = Number(headerOf(request, "inference-header-content-length") ?? request.body.length);
  const json = JSON.parse(Buffer.from(request.body.subarray(0, jsonSizeBytes)).toString()) as {
    outputs?: { name: string }[];
  };
  return (json.outputs ?? []).map((output) => output.name);
}

/** A response as text, but for what no two have alike: the date, and the receipt with its salts. */
function withoutEvidence({ head, body }: Message): { head: string[]; body: string } {
  const blanked = Buffer.from(body)
    .toString("latin1")
    .replace(/"(receipt_id|receipt|request_salt|response_salt)":"[^"]*"/g, '"$1":""')
    .replace(/("name":"tallystick","version"):"[^"]*"/, '$1:""');
  const [status = "", ...lines] = head;
  const headers = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()).replace(VARYING, "$1:"));
  return { head: [status, ...headers.filter((line) => !OF_THE_CONNECTION.test(line)).sort()], body: blanked };
}

/** A receipt's length varies by the digits of its numbers, and with it the lengths of what it is in. */
const VARYING = /^(x-receipt-id|content-length|inference-header-content-length): .*/;
const OF_THE_CONNECTION = /^(date|connection|keep-alive): /;
