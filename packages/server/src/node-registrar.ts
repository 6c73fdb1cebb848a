/** What a node says to its gateway: that it is there, every few seconds how it is, and when it takes no more calls. */
import { base64, hex, utf8 } from "@tallystick/protocol";
import type { GatewayPeer } from "./gateway-peer.ts";
import { OperatorError } from "./platform/errors.ts";
import type { Report } from "./platform/http.ts";
import { refusalIn } from "./verifier/answers.ts";

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
  gateway: Pick<GatewayPeer, "post">;
  /** The id of this node's key, and the entry by which it enrols. */
  id: Uint8Array;
  enrolment: Uint8Array;
  report: Report;
  status(): NodeStatus;
  /** The operator of the gateway wants this node to take no more calls, or to take them again. */
  setDrain(drain: boolean): void;
};

export type Registrar = {
  /** Has the gateway take this node in at `url`. Throws an OperatorError where it does not. */
  register(url: string): Promise<void>;
  /** Says how the node is, from now on and until it is closed. */
  begin(): Promise<void>;
  /** Says so once, without waiting for its turn. */
  tell(): Promise<void>;
  /** Whether the gateway heard it the last time. */
  readonly isKnown: boolean;
  close(): void;
};

export function createRegistrar(parts: RegistrarParts): Registrar {
  const { gateway, id, enrolment, report, status } = parts;
  let url = "";
  let heartbeatMs = 2_000;
  let timer: NodeJS.Timeout | undefined;
  let isKnown = false;
  let isClosed = false;

  const say = (path: string, says: unknown) => gateway.post(path, utf8(JSON.stringify(says)), "application/json");
  const reported = () => ({ ...status(), url });

  async function register(): Promise<void> {
    const says = { report: reported(), enrolment: base64(enrolment) };
    const { status: code, text } = await say("/v1/nodes/register", says);
    if (code !== 200)
      throw new OperatorError(`the gateway does not take this node in: ${refusalIn(code, text).message}`);
    const json: Record<string, unknown> = JSON.parse(text);
    heartbeatMs = typeof json.heartbeatMs === "number" ? Math.max(50, json.heartbeatMs) : heartbeatMs;
    isKnown = true;
  }

  async function tell(): Promise<void> {
    const { status: code, text } = await say("/v1/nodes/heartbeat", reported());
    if (code === 404) return register(); // It was started again, and knows nobody yet.
    if (code !== 200) throw refusalIn(code, text);
    const json: Record<string, unknown> = JSON.parse(text);
    parts.setDrain(json.drain === true);
    isKnown = true;
  }

  async function beat(): Promise<void> {
    try {
      await tell();
    } catch (error) {
      if (isKnown) report("the gateway does not hear this node", { node: hex(id), error: String(error) });
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
