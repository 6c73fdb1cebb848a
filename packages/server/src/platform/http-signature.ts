/**
 * HTTP requests that are signed from one role to another: one form of RFC 9421 (HTTP Message Signatures), ES256 over method,
 * path, digest of the body (RFC 9530), whom it is for, and when it was made.
 */
import {
  base64,
  equal,
  hex,
  keyId,
  parseBase64,
  parseHex,
  type Signer,
  sha256,
  utf8,
  verifyEs256,
} from "@tallystick/protocol";
import { ServiceError } from "./errors.ts";

/** How old a signed request may be, and how far ahead of the reader's clock. */
const FRESH_SECONDS = 60;

export type RequestToSign = { method: string; path: string; body: Uint8Array; to: Uint8Array; nowSeconds: number };

/** The headers that sign a request to the role whose key's id is `to`. */
export async function signRequest(
  signer: Signer,
  { method, path, body, to, nowSeconds }: RequestToSign,
): Promise<Record<string, string>> {
  const parameters = parametersOf(nowSeconds, hex(keyId(signer.spki)));
  const digest = digestOf(body);
  const signature = await signer.sign(baseOf({ method, path, digest, to: hex(to), parameters }));
  return {
    "content-digest": digest,
    "tallystick-to": hex(to),
    "signature-input": `tallystick=${parameters}`,
    signature: `tallystick=:${base64(signature)}:`,
  };
}

export type RequestToCheck = { method: string; path: string; header(name: string): string | undefined };

export type Reader = {
  /** The id of the reader's own key. */
  to: Uint8Array;
  nowSeconds: number;
  /** The key of that id, where it may ask here. */
  findKey(id: Uint8Array): Uint8Array | undefined;
};

/** Who signed, and a look at the body, which is read only once it is known that somebody signed for one. */
export type SignedBy = {
  keyId: Uint8Array;
  /** Throws unauthenticated where `body` is not what was signed for. */
  checkBody(body: Uint8Array): void;
};

/** Checks all of a request but its body. Throws unauthenticated. */
export async function checkRequest(request: RequestToCheck, { to, nowSeconds, findKey }: Reader): Promise<SignedBy> {
  const { method, path, header } = request;
  const input = /^tallystick=(\([^()]*\);created=([0-9]{1,10});keyid="([0-9a-f]{64})";alg="ecdsa-p256-sha256")$/.exec(
    header("signature-input") ?? "",
  );
  const [, parameters, created, kid] = input ?? [];
  if (parameters === undefined || parameters !== parametersOf(Number(created), kid ?? ""))
    throw refused("is not signed in the form of docs/spec/node.md");
  const age = nowSeconds - Number(created);
  if (Math.abs(age) > FRESH_SECONDS)
    throw refused(`was signed ${age} seconds ago by this clock: set the clocks of both machines`);
  if (header("tallystick-to") !== hex(to)) throw refused("is for another role than this");
  const digest = header("content-digest") ?? "";
  const signature = parseBase64(/^tallystick=:([^:]+):$/.exec(header("signature") ?? "")?.[1] ?? "");
  const id = parseHex(kid ?? "") ?? new Uint8Array(0);
  const spki = findKey(id);
  if (spki === undefined || !equal(keyId(spki), id)) throw refused("is signed by a key that may not ask here");
  const base = baseOf({ method, path, digest, to: hex(to), parameters });
  if (signature?.length !== 64 || !(await verifyEs256(spki, base, signature)))
    throw refused("is not signed by the key it names");
  return {
    keyId: id,
    checkBody(body) {
      if (digest !== digestOf(body)) throw refused("has another body than was signed");
    },
  };
}

function parametersOf(created: number, kid: string): string {
  return `("@method" "@path" "content-digest" "tallystick-to");created=${created};keyid="${kid}";alg="ecdsa-p256-sha256"`;
}

function digestOf(body: Uint8Array): string {
  return `sha-256=:${base64(sha256(body))}:`;
}

type Covered = { method: string; path: string; digest: string; to: string; parameters: string };

/** The signature base of RFC 9421 §2.5. */
function baseOf({ method, path, digest, to, parameters }: Covered): Uint8Array {
  return utf8(
    [
      `"@method": ${method}`,
      `"@path": ${path}`,
      `"content-digest": ${digest}`,
      `"tallystick-to": ${to}`,
      `"@signature-params": ${parameters}`,
    ].join("\n"),
  );
}

function refused(why: string): ServiceError {
  return new ServiceError("unauthenticated", `the request ${why}`);
}
