/** The gateway of a network, as a role on another machine asks it. */
import { base64, hex, type LogTrust, parseBase64, type Signer } from "@tallystick/protocol";
import { type Clock, nowSeconds } from "./platform/clock.ts";
import { OperatorError, ServiceError } from "./platform/errors.ts";
import { signRequest } from "./platform/http-signature.ts";
import { requestOutside } from "./platform/outbound.ts";
import { openPeer, type PeerAnswer, readAll } from "./platform/peer.ts";

export type GatewayPeerParts = {
  url: string;
  /** The id of its key. */
  id: Uint8Array;
  token: string;
  /** The role's own key. */
  signer: Signer;
  clock: Clock;
  timeoutMs: number;
};

export type TextAnswer = { status: number; text: string };

export type GatewayPeer = {
  /** A POST under the role's token, which its key signs. */
  post(path: string, body: Uint8Array, contentType: string): Promise<TextAnswer>;
  /** A POST of what is signed itself. */
  submit(path: string, body: Uint8Array, contentType: string): Promise<TextAnswer>;
  /** A GET that the role's key signs, for the gateway or for whom it passes it on to, by the id of their key. */
  get(path: string, to?: Uint8Array, check?: Uint8Array): Promise<PeerAnswer>;
  close(): Promise<void>;
};

const ANSWER_SIZE_BYTES = 65_536;
const NETWORK_MS = 10_000;
/** How long a piece of the log, or a model's file, may take. */
export const FETCH_MS = 120_000;

export function openGatewayPeer({ url, id, token, signer, clock, timeoutMs }: GatewayPeerParts): GatewayPeer {
  const peer = openPeer(url);
  const sign = (method: string, path: string, body: Uint8Array, to: Uint8Array) =>
    signRequest(signer, { method, path, body, to, nowSeconds: nowSeconds(clock) });

  async function submit(path: string, body: Uint8Array, contentType: string, signed: Record<string, string> = {}) {
    const headers = { ...signed, "content-type": contentType };
    const answer = await peer.post({ path, headers, body, timeoutMs });
    return { status: answer.status, text: await textOf(answer, ANSWER_SIZE_BYTES) };
  }

  return {
    async post(path, body, contentType) {
      const entering = { authorization: `Bearer ${token}`, "tallystick-key": base64(signer.spki) };
      return submit(path, body, contentType, { ...(await sign("POST", path, body, id)), ...entering });
    },

    submit: (path, body, contentType) => submit(path, body, contentType),

    async get(path, to = id, check) {
      const headers = await sign("GET", path, new Uint8Array(0), to);
      if (check !== undefined) headers["tallystick-check"] = base64(check);
      return peer.get({ path, headers, timeoutMs });
    },

    close: peer.close,
  };
}

export async function textOf(answer: PeerAnswer, limitBytes: number): Promise<string> {
  return new TextDecoder().decode(await readAll(answer, limitBytes));
}

/** The id of the gateway's key, as the gateway says it: what it signs is held to the log, not to this. */
export async function readGatewayId(gateway: string, trust: LogTrust): Promise<Uint8Array> {
  const answer = await requestOutside(`${gateway}/v1/network`, {
    timeoutMs: NETWORK_MS,
    limitBytes: ANSWER_SIZE_BYTES,
  }).catch((cause: unknown) => {
    throw new OperatorError(`no answer from ${gateway}: is the network running there?`, { cause });
  });
  const told: unknown = answer.status === 200 ? JSON.parse(new TextDecoder().decode(answer.body)) : undefined;
  const { gateway: id, origin } = { gateway: undefined, origin: undefined, ...(told as object | undefined) };
  const bytes = typeof id === "string" ? parseBase64(id) : undefined;
  if (bytes?.length !== 32) throw new OperatorError(`${gateway} is no Tallystick network`);
  if (origin !== trust.origin)
    throw new OperatorError(`${gateway} is the network ${origin}, and --log-key is of ${trust.origin}`);
  return bytes;
}

/** An artifact as the network's hub gives it: whoever asks holds it to its digest. */
export async function fetchArtifact(gateway: string, digest: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const url = `${gateway}/v1/artifacts/${hex(digest)}`;
  const answer = await requestOutside(url, { timeoutMs: FETCH_MS, limitBytes: sizeBytes });
  if (answer.status === 200) return answer.body;
  throw new ServiceError("unavailable", `the hub does not give the artifact ${hex(digest)}: status ${answer.status}`);
}
