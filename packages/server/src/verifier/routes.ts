/** Verification over HTTP: what verifiers and referees say, disputes, checks that are asked for, and what was said of a receipt. */
import {
  base64,
  CALL_SIZE_BYTES,
  checkRequestMessage,
  type Entry,
  encodeLotOpening,
  equal,
  type FoldState,
  hex,
  keyId,
  keyOf,
  mayAct,
  parseBase64,
  parseEntry,
  parseHex,
  parseLotOpening,
  parseSubmission,
  type Session,
  type Submission,
  verifyEs256,
} from "@tallystick/protocol";

import { type Context, Hono } from "hono";
import { z } from "zod";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { ServiceError } from "../platform/errors.ts";
import { readBody, readJson } from "../platform/http.ts";
import { checkRequest } from "../platform/http-signature.ts";
import type { Archive } from "./archive-store.ts";
import type { Checks } from "./checks.ts";
import { type Desk, getReceipt, orRefuse } from "./desk.ts";
import type { Statements } from "./statements.ts";

export type VerificationRoutes = {
  fold: FoldState;
  clock: Clock;
  /** The id of the gateway's key, for which requests are signed. */
  id: Uint8Array;
  archive: Archive;
  statements: Statements;
  checks: Checks;
  desk: Desk;
  /** Appends an entry and resolves once the fold has it. */
  publish(entry: Uint8Array): Promise<number>;
  /** Whether a header has the token by which this operator's verifiers come in. */
  isVerifier(header: string | undefined): boolean;
  /** The payer whose API key a request comes with. Throws unauthenticated or forbidden. */
  payerOf(c: Context): string;
  /** Signs as the gateway for those who have an API key alone. */
  sign(message: Uint8Array): Promise<Uint8Array>;
  /** Something is to be done by a verifier or the referee of this process. */
  wake(): void;
};

/** As a call: what is disputed was one. */
const SUBMISSION_LIMIT_BYTES = CALL_SIZE_BYTES + 131_072;
const CHECK_LIMIT_BYTES = 8 * 1024 * 1024;
const SMALL_BODY_BYTES = 16_384;

const CheckRequest = z.strictObject({
  verifier: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .exactOptional(),
  signature: z.string().max(128).exactOptional(),
  opening: z.string().exactOptional(),
});
const Registration = z.strictObject({ enrolment: z.string().max(1_024) });

export function verificationRoutes(parts: VerificationRoutes): Hono {
  const { fold, archive, statements, checks, desk } = parts;
  const app = new Hono();

  app.post("/v1/verifications", async (c) =>
    c.json(await desk.take(readSubmission(await readBody(c, SUBMISSION_LIMIT_BYTES)))),
  );

  app.get("/v1/verifications/:receipt", async (c) => {
    const receipt = parseId(c.req.param("receipt"));
    getReceipt(fold, receipt);
    return c.json({ receipt: hex(receipt), statements: await statements.list(receipt) });
  });

  app.get("/v1/evidence/:digest", (c) => {
    const digest = parseId(c.req.param("digest"));
    const bytes = archive.findEvidence(digest);
    if (bytes === undefined) throw new ServiceError("not_found", `no evidence ${hex(digest)} is kept here`);
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, { "content-type": "application/json" });
  });

  app.post("/v1/disputes", async (c) => {
    const { id, ...logged } = await desk.dispute(readSubmission(await readBody(c, SUBMISSION_LIMIT_BYTES)));
    parts.wake();
    return c.json({ ...logged, id: hex(id) });
  });

  app.post("/v1/receipts/:id/check", async (c) => {
    const receipt = parseId(c.req.param("id"));
    const parsed = CheckRequest.safeParse(await readJson(c, CHECK_LIMIT_BYTES));
    if (!parsed.success)
      throw new ServiceError("invalid_request", "a check takes {verifier?: hex, signature?: base64, opening?: base64}");
    const { index, session } = getReceipt(fold, receipt);
    const verifier = verifierOf(fold, parsed.data.verifier);
    const message = checkRequestMessage({ receipt, verifier });
    const check = await requesterOf(parts, c, session, message, parsed.data.signature);
    const opening = await givenOpening(parts, receipt, parsed.data.opening);
    checks.add(verifier, session.payer, { receipt, index, check, ...(opening === undefined ? {} : { opening }) });
    parts.wake();
    return c.json({ receipt: hex(receipt), verifier: hex(verifier) }, 202);
  });

  app.get("/v1/checks", async (c) => {
    const kid = await signerOf(parts, c, new Uint8Array(0), (id) => enrolledVerifier(fold, id));
    const taken = checks.take(kid).map(({ receipt, index, check, opening }) => ({
      ...{ receipt: hex(receipt), index, check: base64(check) },
      ...(opening === undefined ? {} : { opening: base64(encodeLotOpening(opening)) }),
    }));
    return c.json({ checks: taken });
  });

  app.post("/v1/verifiers/register", async (c) => {
    if (!parts.isVerifier(c.req.header("authorization")))
      throw new ServiceError("forbidden", "verifiers come in by the token that this network's operator gave them");
    const body = await readBody(c, SMALL_BODY_BYTES);
    const spki = parseBase64(c.req.header("tallystick-key") ?? "") ?? new Uint8Array(0);
    const kid = await signerOf(parts, c, body, (id) => (equal(keyId(spki), id) ? spki : undefined));
    if (enrolledVerifier(fold, kid) === undefined) await parts.publish(await enrolmentIn(fold, kid, body));
    return c.json({ id: hex(kid) });
  });

  return app;
}

async function givenOpening({ desk }: VerificationRoutes, receipt: Uint8Array, text: string | undefined) {
  if (text === undefined) return undefined;
  const bytes = parseBase64(text);
  if (bytes === undefined) throw new ServiceError("invalid_request", "the opening is not base64");
  const opening = orRefuse(() => parseLotOpening(bytes));
  await desk.requireOpens(receipt, opening);
  return opening;
}

/** The requester's signature over `message`: its session key's own, or for who has an API key alone the gateway's. */
async function requesterOf(
  parts: VerificationRoutes,
  c: Context,
  session: Session,
  message: Uint8Array,
  given: string | undefined,
): Promise<Uint8Array> {
  if (given !== undefined) {
    const signature = parseBase64(given);
    if (signature?.length === 64 && (await verifyEs256(session.sessionKey, message, signature))) return signature;
    throw new ServiceError("forbidden", "the check is not signed by the key of the receipt's session");
  }
  if (keyOf(parseHex(parts.payerOf(c)) ?? new Uint8Array(0)) !== session.payer)
    throw new ServiceError("forbidden", "this receipt is not of this API key's account");
  if (session.custody === "gateway" && session.gateway === keyOf(parts.id)) return parts.sign(message);
  throw new ServiceError("forbidden", "the requester of this receipt has a key of its own: sign the check with that");
}

/** The verifier that was asked for, else the one that has been here longest. */
function verifierOf(fold: FoldState, asked: string | undefined): Uint8Array {
  const acting = [...fold.keys].filter(([key]) => mayAct(fold, key, "verifier"));
  const ids = acting.sort(([, a], [, b]) => a.index - b.index).map(([, { spki }]) => keyId(spki));
  const found = asked === undefined ? ids[0] : ids.find((id) => hex(id) === asked);
  if (found !== undefined) return found;
  throw new ServiceError("not_found", asked === undefined ? "this network has no verifier" : `no verifier ${asked}`);
}

async function signerOf(
  { id, clock }: VerificationRoutes,
  c: Context,
  body: Uint8Array,
  findKey: (id: Uint8Array) => Uint8Array | undefined,
): Promise<Uint8Array> {
  const { method, path } = c.req;
  const request = { method, path, header: (name: string) => c.req.header(name) };
  const signed = await checkRequest(request, { to: id, nowSeconds: nowSeconds(clock), findKey });
  signed.checkBody(body);
  return signed.keyId;
}

function enrolledVerifier(fold: FoldState, id: Uint8Array): Uint8Array | undefined {
  return mayAct(fold, keyOf(id), "verifier") ? fold.keys.get(keyOf(id))?.spki : undefined;
}

/** The entry by which a verifier's key enrols. Only here is one enrolled: the log's own door refuses them. */
async function enrolmentIn(fold: FoldState, kid: Uint8Array, body: Uint8Array): Promise<Uint8Array> {
  const known = fold.keys.get(keyOf(kid));
  if (known !== undefined)
    throw new ServiceError(
      "forbidden",
      `this key is the network's ${known.role} key, or a retired or revoked one: make another`,
    );
  const parsed = Registration.safeParse(jsonOf(body));
  const bytes = parseBase64(parsed.data?.enrolment ?? "");
  const entry: Entry | undefined = bytes && orRefuse(() => parseEntry(bytes));
  const isIts =
    entry?.kind === "key" &&
    entry.says.action === "enrol" &&
    entry.says.role === "verifier" &&
    equal(keyId(entry.says.spki), kid) &&
    (await verifyEs256(entry.says.spki, entry.signed.toBeSigned, entry.signed.signature));
  if (isIts) return entry.signed.bytes;
  throw new ServiceError("invalid_request", "the enrolment is not an entry by which this key enrols as a verifier");
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ServiceError("invalid_request", "the body is not JSON", { cause });
  }
}

function readSubmission(body: Uint8Array): Submission {
  return orRefuse(() => parseSubmission(body));
}

function parseId(text: string): Uint8Array {
  const id = parseHex(text);
  if (id?.length === 32) return id;
  throw new ServiceError("invalid_request", "a receipt id and a digest are 64 digits of lower-case hex");
}
