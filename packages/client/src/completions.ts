/** OpenAI's routes for who has no client of its own: the answer and its receipt, whole or in chunks. */
import { isJsonObject, type JsonObject, type JsonOperation, parseUtf8 } from "@tallystick/protocol";
import type { VerifiedAnswer } from "./answer-check.ts";
import { TallystickError, UnreachableError, UnverifiedError } from "./errors.ts";
import { FrameSplitter, readBlock } from "./frames.ts";
import { refusalOf, whyUnreachable } from "./http.ts";
import { ROUTES } from "./openai-route.ts";
import type { Requester } from "./requester.ts";
import { type VerifiedFetchOptions, verifiedFetch } from "./verified-fetch.ts";

/** An answer of OpenAI's form, and what is known of it. */
export type Completed = VerifiedAnswer & {
  /** The body as OpenAI's API gives it. */
  body: JsonObject;
};

/** The chunks of an answer, as they come. */
export type CompletionStream = AsyncIterable<JsonObject> & {
  /** What is known of the answer, once the last chunk was read. Rejects where it does not hold. */
  verified: Promise<VerifiedAnswer>;
};

type Asking = VerifiedFetchOptions & { signal?: AbortSignal };

/** Asks and waits for the whole answer. Throws a TallystickError. */
export async function askOpenAi(
  requester: Requester,
  asking: Asking,
  operation: JsonOperation,
  body: JsonObject,
): Promise<Completed> {
  let verified: VerifiedAnswer | undefined;
  const response = await send(requester, asking, operation, body, (answer) => {
    verified = answer;
  });
  const given: unknown = await response.json();
  if (verified === undefined || !isJsonObject(given)) throw new UnverifiedError("the answer was not checked");
  return { ...verified, body: given };
}

/** Asks for chunks. Throws a TallystickError where the network refuses; reading the chunks throws what befalls them. */
export async function streamOpenAi(
  requester: Requester,
  asking: Asking,
  operation: "chat",
  body: JsonObject,
): Promise<CompletionStream> {
  const { promise, resolve, reject } = withResolvers<VerifiedAnswer>();
  promise.catch(() => undefined); // Who reads the chunks is told by them.
  const response = await send(requester, asking, operation, body, resolve);
  const chunks = chunksOf(response);

  async function* read(): AsyncGenerator<JsonObject> {
    try {
      yield* chunks;
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      reject(new UnverifiedError("the stream was not read to its end"));
    }
  }

  return { verified: promise, [Symbol.asyncIterator]: read };
}

async function send(
  requester: Requester,
  asking: Asking,
  operation: JsonOperation,
  body: JsonObject,
  onVerified: (answer: VerifiedAnswer) => void,
): Promise<Response> {
  const { url, signal } = asking;
  const base = url.replace(/\/+$/, "");
  const init = { method: "POST", body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }) };
  const headers = { "content-type": "application/json" };
  const path = ROUTES[operation];
  const response = await verifiedFetch(requester, asking, `${base}${path}`, { ...init, headers }, onVerified).catch(
    (cause: unknown) => {
      if (signal?.aborted || cause instanceof TallystickError) throw cause;
      throw new UnreachableError(whyUnreachable(base, cause), { cause, retrySafe: false });
    },
  );
  if (!response.ok) throw await refusalOf(response, path);
  return response;
}

async function* chunksOf({ body, status }: Response): AsyncGenerator<JsonObject> {
  if (body === null) return;
  const splitter = new FrameSplitter();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const bytes of splitter.push(value)) {
        const block = readBlock(parseUtf8(bytes) ?? "");
        if (block?.kind !== "frame" || block.json === "[DONE]") continue;
        const chunk: unknown = JSON.parse(block.json);
        if (!isJsonObject(chunk)) continue;
        if (isJsonObject(chunk.error))
          throw await refusalOf(Response.json(chunk, { status: 502 }), `stream of ${status}`);
        yield chunk;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Promise.withResolvers, which Node.js 20 has not. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}
