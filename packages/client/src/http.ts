/** Requests to one network: its refusals as errors, everything else as the response. */
import { concat } from "@tallystick/protocol";
import type { Edges } from "./edges.ts";
import { RefusedError, UnreachableError } from "./errors.ts";

export type Http = {
  /** The body of a response that is 2xx, of `limitBytes` at most, else of 64 MiB. Throws RefusedError or UnreachableError. */
  bytes(path: string, init?: RequestInit, limitBytes?: number): Promise<Uint8Array>;
  json(path: string, init?: RequestInit, limitBytes?: number): Promise<unknown>;
};

/** Longer is no answer of a network's, and no refusal. */
const ANSWER_SIZE_BYTES = 64 * 1024 * 1024;
const REFUSAL_SIZE_BYTES = 64 * 1024;
/** What is read takes no longer than this in all: who answers a byte at a time would be waited for without end. */
const READ_MS = 600_000;

/** The routes that run models: whoever sends to them twice may be answered twice. */
const RUNS: ReadonlySet<string> = new Set(["/v1/infer"]);

export function createHttp(url: string, { fetch }: Pick<Edges, "fetch">): Http {
  const base = url.replace(/\/+$/, "");

  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      const isRead = init.method === undefined && init.signal === undefined;
      response = await fetch(`${base}${path}`, isRead ? { ...init, signal: AbortSignal.timeout(READ_MS) } : init);
    } catch (cause) {
      throw new UnreachableError(whyUnreachable(base, cause), { cause, retrySafe: !RUNS.has(path) });
    }
    if (!response.ok) throw await refusalOf(response, path);
    return response;
  }

  async function bytes(path: string, init?: RequestInit, limitBytes = ANSWER_SIZE_BYTES): Promise<Uint8Array> {
    const response = await request(path, init);
    const body = await readBody(response, limitBytes).catch((cause: unknown) => {
      throw new UnreachableError(`${base}${path} broke off`, { cause, retrySafe: !RUNS.has(path) });
    });
    if (body === undefined)
      throw new UnreachableError(
        `${base}${path} is of more than ${limitBytes} bytes: is that a Tallystick network, or a log?`,
      );
    return body;
  }

  return {
    bytes,
    async json(path, init, limitBytes) {
      const text = new TextDecoder().decode(await bytes(path, init, limitBytes));
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new UnreachableError(`${base}${path} did not answer in JSON: is that a Tallystick network?`, { cause });
      }
    },
  };
}

/** What Node says of a certificate: CERT_HAS_EXPIRED, DEPTH_ZERO_SELF_SIGNED_CERT, UNABLE_TO_VERIFY_LEAF_SIGNATURE … */
const OF_A_CERTIFICATE = /CERT|_SIGNATURE$|^HOSTNAME_MISMATCH$|^INVALID_CA$/;

/** In words for a person, why a request to `base` got no answer. */
export function whyUnreachable(base: string, error: unknown): string {
  const code = fieldOf(fieldOf(error, "cause"), "code");
  return typeof code === "string" && OF_A_CERTIFICATE.test(code)
    ? `${base} shows a certificate that is not trusted here (${code}): where it is by an authority of your own, name its file in NODE_EXTRA_CA_CERTS`
    : `no answer from ${base}: is the network running there?`;
}

/** The body of a response; undefined where it is longer than `limitBytes`, and then it is not read to its end. */
export async function readBody(response: Response, limitBytes: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array(0);
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(...chunks);
    sizeBytes += value.length;
    if (sizeBytes > limitBytes) {
      await reader.cancel();
      return undefined;
    }
    chunks.push(value);
  }
}

/** A response that is not 2xx, as an error. */
export async function refusalOf(response: Response, path: string): Promise<RefusedError> {
  const body = await readBody(response, REFUSAL_SIZE_BYTES).then(parseJson, () => undefined);
  const error = fieldOf(body, "error");
  const [code, said, named] = ["code", "message", "receiptId"].map((key) => fieldOf(error, key));
  const message = said ?? fieldOf(body, "detail"); // Of whoever answers in a network's place with a problem (RFC 9457).
  const receiptId = named ?? response.headers.get("x-receipt-id");
  return new RefusedError(
    response.status,
    typeof code === "string" ? code : "unknown",
    typeof message === "string" ? message : `${path} answered with status ${response.status}`,
    typeof receiptId === "string" ? receiptId : undefined,
  );
}

function parseJson(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes && JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A field of what should be an object. */
export function fieldOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
}
