/** The client: asks, checks what comes back, keeps its half. One function a verb. */
import {
  type Check,
  encodeCall,
  encodeDispatch,
  encodeJson,
  encodeLotOpening,
  encodeReceiptFile,
  encodeSubmission,
  type Figures,
  hex,
  type JsonObject,
  keyId,
  type LotOpening,
  type Opening,
  parseAnswer,
  parseDelivery,
  priceOf,
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
import { checkAnswer } from "./answer-check.ts";
import { askOpenAi, type Completed, type CompletionStream, streamOpenAi } from "./completions.ts";
import { orUnverified, RefusedError, UnverifiedError } from "./errors.ts";
import { fieldOf } from "./http.ts";
import { listModels, type Model, type ModelRow } from "./models.ts";
import type { ProofVerifier } from "./proof.ts";
import { fetchEvidence, proofNames, proofVerdict, type VerifiedProof, verifyProof } from "./proved-answer.ts";
import { fetchReceiptFile } from "./receipt-files.ts";
import { type CallTerms, createRequester, type RequesterOptions } from "./requester.ts";
import { createStatements, receiptIdOf, type Statements } from "./statements.ts";

export type { CallTerms } from "./requester.ts";
export type ClientOptions = RequesterOptions & Pick<CallTerms, "policy">;

export type InferOptions = CallTerms & {
  /** The outputs wanted; all where none is named. */
  outputs?: string[];
};

export type ChatOptions = CallTerms & {
  signal?: AbortSignal;
  /** Gives the frames of a stream on when a signature of the node covers them; else each as it comes. */
  hold?: boolean;
};

/** An answer, and the halves of its receipt. */
export type Answer = {
  outputs: Tensor[];
  receiptId: string;
  /** What only the requester holds: the salts and bytes under the receipt's commitments. */
  opening: Opening;
  /** What was checked before the answer was given, and what was not and why. */
  checks: Check[];
};

export type Client = Statements & {
  models(): Promise<ModelRow[]>;
  model(name: string): Promise<Model>;
  /** The bytes of an artifact, which hash to `sha256`. */
  artifact(sha256: string): Promise<Uint8Array>;
  /** Runs a model. Throws UnverifiedError where the receipt is not for this call and this answer, or by no node. */
  infer(model: Model, inputs: Tensor[], options?: InferOptions): Promise<Answer>;
  /** A chat completion; `body` is as OpenAI's API takes it. Throws UnverifiedError where the answer does not hold. */
  chat(body: JsonObject & { stream?: false }, options?: ChatOptions): Promise<Completed>;
  /** The same in chunks, as they come: reading them throws UnverifiedError where the stream does not hold. */
  chat(body: JsonObject & { stream: true }, options?: ChatOptions): Promise<CompletionStream>;
  /** Embeddings; `body` is as OpenAI's API takes it. Throws UnverifiedError where they do not hold. */
  embed(body: JsonObject, options?: ChatOptions): Promise<Completed>;
  /** The file of this very receipt, once a checkpoint covers it; with `opening` where the caller has it. */
  receiptFile(receiptId: string, opening?: Opening): Promise<Uint8Array>;
  /** The verdict over a receipt of this network: its file is waited for, and every check made. */
  receipt(receiptId: string, opening?: Opening): Promise<Verdict<VerifiedReceipt>>;
  verify(file: Uint8Array): Promise<Verdict<VerifiedReceipt>>;
  /**
   * The proof of one of this account's answers, verified here: `openProofVerifier` of @tallystick/client/proof gives the
   * verifier. With `opening` it is shown to be of this call and this answer; without, the verdict is at best inconclusive.
   * Throws RefusedError where there is no proof, or not yet: it is made some seconds after the answer.
   */
  proof(receiptId: string, verifier: ProofVerifier, opening?: Opening): Promise<Verdict<VerifiedProof>>;
  /**
   * Signs and logs that the answer of a receipt is not the model's, and hands its opening to the network's referee, who runs it
   * again. Enrols the key where the log does not know it. `id` names the dispute: what is decided of it is in the log.
   */
  dispute(receiptId: string, opening: LotOpening, signer: Signer, name: string): Promise<{ index: number; id: string }>;
  usage(): Promise<Figures>;
};

export function createClient(options: ClientOptions): Client {
  const { trust } = options;
  const requester = createRequester(options);
  const { http, edges, nodeKeys } = requester;
  const { enrol, ...statements } = createStatements(requester);

  function chat(body: JsonObject & { stream?: false }, own?: ChatOptions): Promise<Completed>;
  function chat(body: JsonObject & { stream: true }, own?: ChatOptions): Promise<CompletionStream>;
  function chat(body: JsonObject, own: ChatOptions = {}): Promise<Completed | CompletionStream> {
    const asking = { ...options, ...own };
    return body.stream === true
      ? streamOpenAi(requester, asking, "chat", body)
      : askOpenAi(requester, asking, "chat", body);
  }

  async function receiptFile(receiptId: string, opening?: Opening): Promise<Uint8Array> {
    const file = await fetchReceiptFile(http, edges, receiptId, ({ parts }) => parts.receipt.proof !== undefined);
    return utf8(encodeReceiptFile(opening === undefined ? file : { ...file, opening }));
  }

  return {
    models: () => listModels(http),
    model: (name) => requester.model(name),

    async artifact(digest) {
      const bytes = await http.bytes(`/v1/artifacts/${digest}`);
      if (hex(sha256(bytes)) !== digest) throw new UnverifiedError(`the artifact ${digest} came with other bytes`);
      return bytes;
    },

    async infer(model, inputs, { outputs = [], ...terms } = {}) {
      const call = encodeCall({ operation: "infer", inputs, outputs });
      const own = options.policy === undefined ? {} : { policy: options.policy };
      const signed = await requester.sign(model, call, { maxPrice: priceOf(model, call.length), ...own, ...terms });
      const { authorization, salt } = signed;
      const body = encodeDispatch({ authorization: authorization.signed.bytes, salt, call }) as BodyInit;
      const headers = { "content-type": "application/cbor", ...signed.policyHeader };
      const delivered = await http.bytes("/v1/infer", { method: "POST", headers, body }).catch((error: unknown) => {
        if (error instanceof RefusedError) signed.refused(error);
        throw error;
      });
      signed.taken();
      const delivery = orUnverified("what the network delivered", () => parseDelivery(delivered));
      const { receiptId, opening, checks } = await checkAnswer(signed, delivery, nodeKeys);
      const tensors = orUnverified("what the network delivered", () => parseAnswer(delivery.answer));
      return { outputs: tensors, receiptId, opening, checks };
    },

    chat,
    embed: (body, own = {}) => askOpenAi(requester, { ...options, ...own }, "embedding", body),

    receiptFile,
    receipt: async (receiptId, opening) => verifyReceiptFile(await receiptFile(receiptId, opening), trust),
    verify: (file) => verifyReceiptFile(file, trust),

    async proof(receiptId, verifier, opening) {
      const evidence = await fetchEvidence(http, receiptId, options.apiKey);
      const receipt = await verifyReceiptFile(await receiptFile(receiptId, opening), trust);
      if (receipt.outcome !== "verified") return receipt; // A proof of what does not hold shows nothing.
      const { manifest } = receipt.value;
      const names = proofNames(manifest);
      if (names === undefined) throw new UnverifiedError(`${manifest.name} has no circuit, and so no proof`);
      const [circuit, verificationKey] = await Promise.all([
        http.bytes(`/v1/artifacts/${names.circuit}`),
        http.bytes(`/v1/verification-keys/${names.verificationKey}`),
      ]);
      const parts = { evidence, circuit, verificationKey };
      return proofVerdict(await verifyProof(verifier, receipt.value, parts, opening), evidence, manifest);
    },

    ...statements,

    async dispute(receiptId, opening, signer, name) {
      const receipt = receiptIdOf(receiptId);
      await enrol(signer, "disputer", name);
      const claim = { format: "tallystick-evidence-v1", receipt: receiptId, by: hex(keyId(signer.spki)) };
      const evidence = encodeJson({ ...claim, detail: "the disputer says that the model gives another answer" });
      const says = { version: 1, receipt, ground: "mismatch", evidence: sha256(evidence) } as const;
      const { signed } = await signEntry(signer, "dispute", says);
      const statement = { entry: signed.bytes, evidence, opening: encodeLotOpening(opening) };
      const body = encodeSubmission(statement) as BodyInit;
      const headers = { "content-type": "application/cbor" };
      const answer = await http.json("/v1/disputes", { method: "POST", headers, body });
      return { index: Number(fieldOf(answer, "index")), id: hex(signedId(signed)) };
    },

    usage: async () => (await http.json("/v1/usage")) as Figures,
  };
}
