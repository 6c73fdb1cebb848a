/** OpenAI's routes on a tiny network: real receipts and real chains, which a test may spoil on their way. */
import {
  addReceipt,
  base64,
  callOf,
  commit,
  type EntryOf,
  encodeCall,
  encodeJsonAnswer,
  extendStream,
  hex,
  type JsonCall,
  type JsonObject,
  type JsonOperation,
  keyId,
  openStream,
  parseAuthorization,
  parseBase64,
  possessionMessage,
  RECEIPT_CLOSERS,
  receiptJson,
  type StreamState,
  sealMessage,
  signAuthorization,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { ANSWER_OF, operationAt } from "../../packages/client/src/openai-route.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { MANIFEST } from "../one-receipt.ts";
import { API_KEY, refusal, type Served, TinyNetwork, type TinySettings } from "./tiny-network.ts";

export const TEXT = "A tally stick is split, and each side keeps a half.";
export const TINY_MODEL = MANIFEST.name;
const SALT = new Uint8Array(32).fill(7);
const USAGE = { prompt_tokens: 3, completion_tokens: 11, total_tokens: 14 };
const RESPONSE_USAGE = {
  ...{ input_tokens: 3, input_tokens_details: { cached_tokens: 0 }, output_tokens: 11 },
  ...{ output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 14 },
};

export type OpenAiSettings = TinySettings & {
  /** The body that goes out in place of an honest one. */
  body?: (honest: JsonObject, served: Pick<Served, "receiptThat">) => unknown;
  /** The blocks of a stream that go out in place of honest ones. */
  blocks?: (honest: string[], served: Pick<Served, "receiptThat">) => string[] | Promise<string[]>;
  /** The signer of seals. */
  sealSigner?: string;
  /** What comes after the last block: the end, or a connection that breaks. */
  breaks?: boolean;
};

/** What a request carried. */
export type Received = { path: string; headers: Headers; body: JsonObject };

export type TinyOpenAi = {
  network: TinyNetwork;
  received: Received[];
  fetch(url: string, init?: RequestInit): Promise<Response>;
};

export async function openTinyOpenAi(settings: OpenAiSettings = {}): Promise<TinyOpenAi> {
  const network = await TinyNetwork.open(settings);
  const received: Received[] = [];

  let gatewayGrant: EntryOf<"grant"> | undefined;

  async function serve(operation: JsonOperation, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    const body: JsonObject = JSON.parse(String(init.body));
    received.push({ path, headers, body });
    if (!headers.has("x-tally-authorization") && headers.get("authorization") !== `Bearer ${API_KEY}`)
      return refusal(401, "unauthenticated", "no API key of this network");
    const own = headers.get("x-tally-authorization");
    const head = own === null ? await authorize(callOf(operation, body)) : headOf(fromUrl(own));
    return body.stream === true && operation !== "embedding"
      ? stream(operation, body, head)
      : whole(operation, body, head);
  }

  let nonce = 0;

  /** What a gateway signs for an API key, with a session of its own. */
  async function authorize(call: JsonCall): Promise<Head> {
    const session = fixedSigner("gateway-session");
    const place = { origin: network.log.key.name, gateway: keyId(fixedSigner("gateway").spki) };
    const possession = await session.sign(possessionMessage({ ...place, sessionKey: session.spki }));
    const grant = gatewayGrant ?? (await network.grantTo(session.spki, "gateway", { possession }));
    gatewayGrant = grant;
    const { signed } = await signAuthorization(session, {
      ...{ version: 1, session: signedId(grant.signed), nonce: nonce++, revision: network.revision },
      ...{ request: commit("request", SALT, encodeCall(call)), tier: "signed", maxPrice: 3n },
      ...{ expiry: grant.says.expiry, openness: "none", traffic: "production" },
    });
    return { ...headOf(signed.bytes), requestSalt: SALT };
  }

  async function whole(
    operation: JsonOperation,
    asked: JsonObject,
    { authorization, id, requestSalt }: Head,
  ): Promise<Response> {
    const own = wholeBody(operation, asked, hex(id));
    const answer = encodeJsonAnswer(ANSWER_OF[operation](own));
    const { receipt, receiptThat } = await network.issue(authorization, { answer, salt: SALT });
    const honest = { ...own, receipt: receiptJson({ id, entry: receipt, responseSalt: SALT, ...salted(requestSalt) }) };
    return Response.json((await settings.body?.(honest, { receiptThat })) ?? honest, {
      headers: { "x-receipt-id": hex(id) },
    });
  }

  async function stream(
    operation: Exclude<JsonOperation, "embedding">,
    asked: JsonObject,
    { authorization, id, requestSalt }: Head,
  ): Promise<Response> {
    const own = wholeBody(operation, asked, hex(id));
    const answer = encodeJsonAnswer(ANSWER_OF[operation](own));
    const frames = framesOf(operation, own);
    const blocks = [`: tally ${JSON.stringify(openingOf(id))}\n\n`];
    let state = openStream(id, SALT);
    for (const [i, frame] of frames.entries()) {
      state = extendStream(state, utf8(frame));
      if (i === frames.length - 1) break; // The receipt goes into it, and is a signature itself.
      blocks.push(frame);
      if (i % 3 === 2) blocks.push(await seal(id, state));
    }
    const { receipt, receiptThat } = await network.issue(authorization, { answer, salt: SALT, stream: state });
    const wantsUsage = isObject(asked.stream_options) && asked.stream_options.include_usage === true;
    const usage = operation === "response" || wantsUsage ? {} : { usage: USAGE };
    const member = receiptJson({ id, entry: receipt, responseSalt: SALT, ...salted(requestSalt), ...usage });
    const last = (frames.at(-1) ?? "").slice(0, -2);
    blocks.push(`${addReceipt(last, RECEIPT_CLOSERS[operation], member)}\n\n`);
    if (wantsUsage && operation !== "response")
      blocks.push(`data: ${JSON.stringify({ ...chunkHead(operation, own), choices: [], usage: USAGE })}\n\n`);
    if (operation !== "response") blocks.push("data: [DONE]\n\n");
    const sent = (await settings.blocks?.(blocks, { receiptThat })) ?? blocks;
    return new Response(inPieces(sent.join(""), settings.breaks ?? false), {
      headers: { "content-type": "text/event-stream", "x-receipt-id": hex(id) },
    });
  }

  async function seal(id: Uint8Array, state: StreamState): Promise<string> {
    const signature = await fixedSigner(settings.sealSigner ?? "node").sign(sealMessage(id, state));
    return `: tally ${JSON.stringify({ frames: state.frames, signature: base64(signature) })}\n\n`;
  }

  return {
    network,
    received,
    async fetch(url, init) {
      const path = new URL(url).pathname;
      const operation = operationAt(path);
      const instead = operation === undefined ? undefined : settings.answer?.(path, init);
      if (operation !== undefined && init !== undefined) return instead ?? serve(operation, path, init);
      return network.fetch(url, init);
    },
  };
}

type Head = { authorization: Uint8Array; id: Uint8Array; requestSalt?: Uint8Array };

function headOf(authorization: Uint8Array): Head {
  return { authorization, id: signedId(parseAuthorization(authorization).signed) };
}

const salted = (requestSalt: Uint8Array | undefined) => (requestSalt === undefined ? {} : { requestSalt });

function openingOf(id: Uint8Array): JsonObject {
  return { receipt: hex(id), salt: base64(SALT), node: hex(keyId(fixedSigner("node").spki)) };
}

/** The body of a whole answer, without its receipt. */
function wholeBody(
  operation: JsonOperation,
  { model, tools, input, encoding_format }: JsonObject,
  id: string,
): JsonObject {
  const named = { created: 1_795_000_000, model: model ?? null };
  if (operation === "embedding") {
    const texts = Array.isArray(input) ? input : [input];
    const embedding = encoding_format === "base64" ? base64(new Uint8Array(8)) : [0, 0];
    const data = texts.map((_, index) => ({ object: "embedding", index, embedding }));
    return { object: "list", data, model: model ?? null, usage: { prompt_tokens: 3, total_tokens: 3 } };
  }
  if (operation === "completion")
    return {
      ...{ id: `cmpl-${id}`, object: "text_completion", ...named },
      ...{ choices: [{ index: 0, text: TEXT, logprobs: null, finish_reason: "stop" }], usage: USAGE },
    };
  if (operation === "response") {
    const content = [{ type: "output_text", text: TEXT, annotations: [] }];
    const output = [{ id: `msg_${id}_0`, type: "message", status: "completed", role: "assistant", content }];
    const head = { id: `resp_${id}`, object: "response", created_at: 1_795_000_000, model: model ?? null };
    return { ...head, status: "completed", output, tools: tools ?? [], usage: RESPONSE_USAGE };
  }
  const calls = [{ id: "call_1", type: "function", function: { name: "weigh", arguments: '{"what":"stick"}' } }];
  const message = Array.isArray(tools)
    ? { role: "assistant", content: null, tool_calls: calls }
    : { role: "assistant", content: TEXT, refusal: null };
  return {
    ...{ id: `chatcmpl-${id}`, object: "chat.completion", ...named },
    choices: [{ index: 0, message, logprobs: null, finish_reason: Array.isArray(tools) ? "tool_calls" : "stop" }],
    usage: USAGE,
  };
}

const words = TEXT.split(/(?<= )/);

/** The frames that say the same in pieces; the receipt goes into the last. */
function framesOf(operation: Exclude<JsonOperation, "embedding">, own: JsonObject): string[] {
  if (operation === "response") return responseFrames(own);
  const frame = (choice: JsonObject) =>
    `data: ${JSON.stringify({ ...chunkHead(operation, own), choices: [{ index: 0, ...choice }] })}\n\n`;
  if (operation === "completion")
    return [...words.map((text) => frame({ text, finish_reason: null })), frame({ text: "", finish_reason: "stop" })];
  const [choice] = Array.isArray(own.choices) ? own.choices.filter(isObject) : [];
  const message = isObject(choice?.message) ? choice.message : {};
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.filter(isObject) : [];
  const deltas =
    calls.length > 0
      ? calls.map((one, index) => ({ tool_calls: [{ index, ...one }] }))
      : words.map((content) => ({ content }));
  return [
    frame({ delta: { role: "assistant", content: "" }, finish_reason: null }),
    ...deltas.map((delta) => frame({ delta, finish_reason: null })),
    frame({ delta: {}, finish_reason: choice?.finish_reason ?? null }),
  ];
}

function responseFrames(own: JsonObject): string[] {
  let sequence = 0;
  const event = (type: string, says: JsonObject) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...says })}\n\n`;
  const [item] = Array.isArray(own.output) ? own.output.filter(isObject) : [];
  const place = { item_id: item?.id ?? "", output_index: 0, content_index: 0 };
  const part = { type: "output_text", text: TEXT, annotations: [] };
  const begun = { ...own, status: "in_progress", output: [], usage: null };
  const opened = { ...item, status: "in_progress", content: [] };
  return [
    event("response.created", { response: begun }),
    event("response.in_progress", { response: begun }),
    event("response.output_item.added", { output_index: 0, item: opened }),
    event("response.content_part.added", { ...place, part: { ...part, text: "" } }),
    ...words.map((delta) => event("response.output_text.delta", { ...place, delta, logprobs: [] })),
    event("response.output_text.done", { ...place, text: TEXT, logprobs: [] }),
    event("response.content_part.done", { ...place, part }),
    event("response.output_item.done", { output_index: 0, item: item ?? {} }),
    event("response.completed", { response: own }),
  ];
}

function chunkHead(operation: "chat" | "completion", { id, created, model }: JsonObject): JsonObject {
  const object = operation === "chat" ? "chat.completion.chunk" : "text_completion";
  return { id: id ?? "", object, created: created ?? 0, model: model ?? "" };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fromUrl(text: string): Uint8Array {
  const padded = text.padEnd(Math.ceil(text.length / 4) * 4, "=");
  return parseBase64(padded.replaceAll("-", "+").replaceAll("_", "/")) ?? new Uint8Array(0);
}

/** The bytes of `text` in pieces that keep to no boundary. */
function inPieces(text: string, breaks: boolean): ReadableStream<Uint8Array> {
  const bytes = utf8(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = bytes.slice(at, at + 61);
      at += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      else if (breaks) controller.error(new TypeError("terminated"));
      else controller.close();
    },
  });
}
