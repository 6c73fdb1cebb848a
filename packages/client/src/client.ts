/** The client: asks, checks what comes back, keeps its half. One function a verb. */
import {
  commit,
  encodeCall,
  encodeDispatch,
  encodeReceiptFile,
  equal,
  type Figures,
  hex,
  type LogTrust,
  type Opening,
  parseAnswer,
  parseAuthorization,
  parseDelivery,
  parseEntry,
  parseHex,
  parseReceiptFile,
  type Signer,
  sha256,
  signEntry,
  signedId,
  type Tensor,
  utf8,
  type Verdict,
  type VerifiedReceipt,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { type Edges, systemEdges } from "./edges.ts";
import { orUnverified, RefusedError, UnverifiedError } from "./errors.ts";
import { createHttp, fieldOf } from "./http.ts";
import { getModel, listModels, type Model, type ModelRow } from "./models.ts";
import { keepSession, openSession } from "./session.ts";

export type ClientOptions = {
  /** Where the network is reached. */
  url: string;
  /** Needed to ask; reading and verifying need none. */
  apiKey?: string;
  /** Whose checkpoints to believe: from somewhere else than the network itself. */
  trust?: LogTrust;
  edges?: Partial<Edges>;
};

export type InferOptions = {
  /** The outputs wanted; all where none is named. */
  outputs?: string[];
  /** The most that the call may cost, in atomic units. */
  maxPrice?: bigint;
  traffic?: "production" | "test" | "probe";
  /** 16 bytes of the caller's, the same on every call behind one decision. */
  decision?: Uint8Array;
};

/** An answer, and the halves of its receipt. */
export type Answer = {
  outputs: Tensor[];
  receiptId: string;
  /** What only the requester holds: the salts and bytes under the receipt's commitments. */
  opening: Opening;
};

export type Client = {
  models(): Promise<ModelRow[]>;
  model(name: string): Promise<Model>;
  /** The bytes of an artifact, which hash to `sha256`. */
  artifact(sha256: string): Promise<Uint8Array>;
  /** Runs a model. Throws UnverifiedError where the receipt is not for this call and this answer. */
  infer(model: Model, inputs: Tensor[], options?: InferOptions): Promise<Answer>;
  /** The file of this very receipt, once a checkpoint covers it; with `opening` where the caller has it. */
  receiptFile(receiptId: string, opening?: Opening): Promise<Uint8Array>;
  verify(file: Uint8Array): Promise<Verdict<VerifiedReceipt>>;
  /** Signs and logs that the holder of `signer` acts on a receipt. Enrols the key where the log does not know it. */
  rely(receiptId: string, signer: Signer, name: string): Promise<{ index: number; alreadyLogged: boolean }>;
  /** Signs and logs that the requester accepted the answer. For receipts of this client's own session. */
  acknowledge(receiptId: string): Promise<{ index: number; alreadyLogged: boolean }>;
  usage(): Promise<Figures>;
};

/** How long to wait for the checkpoint over a fresh receipt. */
const COVERED_WITHIN_MS = 10_000;
const POLL_MS = 100;
/** What the network says of a session or nonce that it does not take; of a call it never says these. */
const SESSION_REFUSED: ReadonlySet<string> = new Set(["conflict", "forbidden"]);

export function createClient({ url, apiKey, trust, edges: given = {} }: ClientOptions): Client {
  const edges = { ...systemEdges, ...given };
  const http = createHttp(url, edges);
  const sessions = keepSession(async () => {
    if (apiKey === undefined) throw new TypeError("asking needs an API key: createClient({ url, apiKey })");
    return openSession(http, apiKey, edges);
  });

  async function submit(entry: Uint8Array): Promise<{ index: number; alreadyLogged: boolean }> {
    const init = { method: "POST", headers: { "content-type": "application/cose" }, body: entry as BodyInit };
    const answer = await http.json("/v1/entries", init);
    return { index: Number(fieldOf(answer, "index")), alreadyLogged: fieldOf(answer, "alreadyLogged") === true };
  }

  return {
    models: () => listModels(http),
    model: (name) => getModel(http, name),

    async artifact(digest) {
      const bytes = await http.bytes(`/v1/artifacts/${digest}`);
      if (hex(sha256(bytes)) !== digest) throw new UnverifiedError(`the artifact ${digest} came with other bytes`);
      return bytes;
    },

    async infer(model, inputs, { outputs = [], maxPrice = model.priceAtomic, traffic = "production", decision } = {}) {
      const call = encodeCall({ operation: "infer", inputs, outputs });
      const salt = edges.random(32);
      const request = commit("request", salt, call);
      const ask = {
        revision: model.revisionDigest,
        request,
        maxPrice,
        traffic,
        ...(decision === undefined ? {} : { decision }),
      };
      const { session, authorization } = await sessions.authorize(ask);
      const body = encodeDispatch({ authorization: authorization.signed.bytes, salt, call }) as BodyInit;
      const headers = { "content-type": "application/cbor" };
      const delivered = await http.bytes("/v1/infer", { method: "POST", headers, body }).catch((error: unknown) => {
        if (error instanceof RefusedError && SESSION_REFUSED.has(error.code)) sessions.drop(session);
        throw error;
      });
      session.taken(authorization);
      const { delivery, outputs: tensors } = orUnverified("what the network delivered", () => {
        const parsed = parseDelivery(delivered);
        holdTo(parsed, authorization.signed.bytes);
        return { delivery: parsed, outputs: parseAnswer(parsed.answer) };
      });
      const opening = { request: { salt, bytes: call }, response: { salt: delivery.salt, bytes: delivery.answer } };
      return { outputs: tensors, receiptId: hex(signedId(authorization.signed)), opening };
    },

    async receiptFile(receiptId, opening) {
      const started = edges.nowMs();
      for (;;) {
        const bytes = await http.bytes(`/v1/receipts/${receiptId}`);
        const file = orUnverified("the receipt file that the network gave", () => parseReceiptFile(bytes));
        if (hex(file.id) !== receiptId)
          throw new UnverifiedError(`the network gave the receipt ${hex(file.id)}, not ${receiptId}`);
        const covered = file.parts.receipt.proof !== undefined;
        if (covered || edges.nowMs() - started > COVERED_WITHIN_MS)
          return utf8(encodeReceiptFile(opening === undefined ? file : { ...file, opening }));
        await edges.sleep(POLL_MS);
      }
    },

    verify: (file) => verifyReceiptFile(file, trust),

    async rely(receiptId, signer, name) {
      const receipt = idOf(receiptId);
      const enrolment = { version: 1, action: "enrol", role: "relier", spki: signer.spki, name } as const;
      await submit((await signEntry(signer, "key", enrolment)).signed.bytes);
      return submit((await signEntry(signer, "reliance", { version: 1, receipt })).signed.bytes);
    },

    async acknowledge(receiptId) {
      const { signer } = await sessions.current();
      return submit(
        (await signEntry(signer, "acknowledgement", { version: 1, receipt: idOf(receiptId) })).signed.bytes,
      );
    },

    usage: async () => (await http.json("/v1/usage")) as Figures,
  };
}

/** That a delivery is for the authorization that was sent: the receipt holds it, and commits to this answer. */
function holdTo(
  { receipt, answer, salt }: { receipt: Uint8Array; answer: Uint8Array; salt: Uint8Array },
  authorization: Uint8Array,
): void {
  const entry = parseEntry(receipt);
  if (entry.kind !== "receipt" || !equal(entry.says.authorization, authorization))
    throw new UnverifiedError("the receipt is not for the authorization that was sent");
  const { authorization: bytes, price, response } = entry.says;
  if (price > parseAuthorization(bytes).says.maxPrice)
    throw new UnverifiedError("the receipt's price is over the maximum");
  if (response === undefined || !equal(commit("response", salt, answer).digest, response.digest))
    throw new UnverifiedError("the answer is not the one that the receipt commits to");
}

function idOf(receiptId: string): Uint8Array {
  const id = parseHex(receiptId);
  if (id?.length !== 32) throw new TypeError(`${JSON.stringify(receiptId)} is not a receipt id of 64 hex digits`);
  return id;
}
