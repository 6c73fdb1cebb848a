/** What a node says to its gateway: that it is there, every few seconds how it is, and when it takes no more calls. */
import { base64, hex, keyId, type Signer, utf8 } from "@tallystick/protocol";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { OperatorError } from "./platform/errors.ts";
import type { Report } from "./platform/http.ts";
import { signRequest } from "./platform/http-signature.ts";
import { type Peer, readAll } from "./platform/peer.ts";

/** What a node says of itself, but for where it is. */
export type NodeStatus = {
  name: string;
  engines: string[];
  revisions: string[];
  warm: string[];
  tiers: string[];
  priceFloor: string;
  running: number;
  waiting: number;
  capacity: number;
  draining: boolean;
};

export type RegistrarParts = {
  peer: Peer;
  signer: Signer;
  clock: Clock;
  report: Report;
  token: string;
  gatewayId: Uint8Array;
  /** The entry by which this node's key enrols. */
  enrolment: Uint8Array;
  status(): NodeStatus;
  /** The operator of the gateway wants this node to take no more calls, or to take them again. */
  setDrain(drain: boolean): void;
};

export type Registrar = {
  /** Has the gateway take this node in at `url`. Throws an OperatorError where it does not. */
  register(url: string): Promise<void>;
  /** Says how the node is, from now on and until it is closed. */
  begin(): Promise<void>;
  /** Asks the gateway for something else, signed by this node. */
  post(path: string, body: Uint8Array, contentType: string): Promise<{ status: number; json: Record<string, unknown> }>;
  /** Says so once, without waiting for its turn. */
  tell(): Promise<void>;
  /** Whether the gateway heard it the last time. */
  readonly isKnown: boolean;
  close(): void;
};

const ANSWER_MS = 10_000;

export function createRegistrar(parts: RegistrarParts): Registrar {
  const { peer, signer, clock, report, gatewayId, enrolment, status } = parts;
  let url = "";
  let heartbeatMs = 2_000;
  let timer: NodeJS.Timeout | undefined;
  let isKnown = false;
  let isClosed = false;

  const say = (path: string, says: unknown) => post(path, utf8(JSON.stringify(says)), "application/json");

  async function post(path: string, body: Uint8Array, contentType: string) {
    const asked = { method: "POST", path, body, to: gatewayId, nowSeconds: nowSeconds(clock) };
    const headers = {
      ...(await signRequest(signer, asked)),
      authorization: `Bearer ${parts.token}`,
      "content-type": contentType,
      "tallystick-key": base64(signer.spki),
    };
    const answer = await peer.post({ path, headers, body, timeoutMs: ANSWER_MS });
    const text = new TextDecoder().decode(await readAll(answer, 65_536));
    const json: Record<string, unknown> = JSON.parse(text);
    return { status: answer.status, json };
  }

  const reported = () => ({ ...status(), url });

  async function register(): Promise<void> {
    const { status: code, json } = await say("/v1/nodes/register", {
      report: reported(),
      enrolment: base64(enrolment),
    });
    if (code !== 200) throw new OperatorError(`the gateway does not take this node in: ${wordsOf(json)}`);
    heartbeatMs = typeof json.heartbeatMs === "number" ? Math.max(50, json.heartbeatMs) : heartbeatMs;
    isKnown = true;
  }

  async function tell(): Promise<void> {
    const { status: code, json } = await say("/v1/nodes/heartbeat", reported());
    if (code === 404) return register(); // It was started again, and knows nobody yet.
    if (code !== 200) throw new Error(wordsOf(json));
    parts.setDrain(json.drain === true);
    isKnown = true;
  }

  async function beat(): Promise<void> {
    try {
      await tell();
    } catch (error) {
      if (isKnown)
        report("the gateway does not hear this node", { node: hex(keyId(signer.spki)), error: String(error) });
      isKnown = false;
    }
    if (!isClosed) timer = setTimeout(() => void beat(), heartbeatMs);
  }

  return {
    async register(at) {
      url = at;
      await register();
    },
    begin: beat,
    post,
    tell: () => tell().catch((error: unknown) => report("the gateway was not told", { error: String(error) })),
    get isKnown() {
      return isKnown;
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

function wordsOf(json: Record<string, unknown>): string {
  const { error } = json;
  return typeof error === "object" && error !== null && "message" in error
    ? String(error.message)
    : "it gave no reason";
}
