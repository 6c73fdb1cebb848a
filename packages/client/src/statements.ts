/** What a client states of answers and of itself, as entries of the log: docs/spec/entry.md. */
import {
  hex,
  type Purpose,
  parseHex,
  type RecomputationPayload,
  type ResolutionPayload,
  type Role,
  type Signer,
  sha256,
  signEntry,
  signedId,
} from "@tallystick/protocol";
import { RefusedError } from "./errors.ts";
import { fieldOf } from "./http.ts";
import type { Requester } from "./requester.ts";

/** Where the log has a statement, and whether it had it before. */
export type Logged = { index: number; alreadyLogged: boolean };

/** What a relier says beyond that it relies, for everybody to see. */
export type Reliance = {
  /** What the answer is relied on for. */
  purpose?: Purpose;
  /** How much is at stake: `valueBucketOf` it, never the value. */
  valueBucket?: number;
  /** The DNS name that the key enrols under. Its TXT record at `_tallystick.` has to hold the key's id; a key enrols once. */
  domain?: string;
};

export type Statements = {
  /** Signs and logs that the holder of `signer` acts on a receipt. Enrols the key where the log does not know it. */
  rely(receiptId: string, signer: Signer, name: string, reliance?: Reliance): Promise<Logged>;
  /** Takes back what `signer` said of the decision that a receipt is of. For good: it cannot rely on that again. */
  reverse(receiptId: string, signer: Signer): Promise<Logged>;
  /** Signs and logs that the requester accepted the answer. For receipts of this client's own session. */
  acknowledge(receiptId: string): Promise<Logged>;
  /**
   * Signs and logs that keys, named by their ids in hex, are of one owner with `signer`; without one, with this client's own
   * session. It comes to something only where they say the same of it.
   */
  affiliate(keyIds: readonly string[], signer?: Signer): Promise<Logged>;
  /**
   * Signs and logs that the reason for which a receipt is not counted as organic is wrong; a referee decides. Only the SHA-256 of
   * `evidence` is logged. The key is the model's publisher's, or else is enrolled as a disputer's where the log does not know it.
   * `id` names the dispute.
   */
  disputeLabel(receiptId: string, evidence: Uint8Array, signer: Signer, name: string): Promise<Logged & { id: string }>;
  /** Signs and logs as a referee what came of a dispute, named by its id in hex. Only the SHA-256 of `evidence` is logged. */
  resolve(
    dispute: string,
    outcome: ResolutionPayload["outcome"],
    evidence: Uint8Array,
    signer: Signer,
  ): Promise<Logged>;
  /**
   * Says in the log, by an auditor's own key, what its entries came to when they were counted again. Enrols that key as well;
   * one that `wasEnrolled` keeps the name that it has.
   */
  recompute(
    says: Omit<RecomputationPayload, "version">,
    signer: Signer,
    name: string,
  ): Promise<Logged & { wasEnrolled: boolean }>;
};

export function createStatements({ http, sessions }: Pick<Requester, "http" | "sessions">): Statements & {
  enrol(signer: Signer, role: Role, name: string): Promise<Logged>;
} {
  async function submit({ signed }: { signed: { bytes: Uint8Array } }): Promise<Logged> {
    const headers = { "content-type": "application/cose" };
    const answer = await http.json("/v1/entries", { method: "POST", headers, body: signed.bytes as BodyInit });
    return { index: Number(fieldOf(answer, "index")), alreadyLogged: fieldOf(answer, "alreadyLogged") === true };
  }

  async function enrol(signer: Signer, role: Role, name: string, domain?: string): Promise<Logged> {
    const says = { version: 1, action: "enrol", role, spki: signer.spki, name } as const;
    return submit(await signEntry(signer, "key", domain === undefined ? says : { ...says, domain }));
  }

  return {
    enrol: (signer, role, name) => enrol(signer, role, name),

    async rely(receiptId, signer, name, { domain, ...reliance } = {}) {
      const receipt = receiptIdOf(receiptId);
      await enrol(signer, "relier", name, domain);
      return submit(await signEntry(signer, "reliance", { version: 1, receipt, ...reliance }));
    },

    reverse: async (receiptId, signer) =>
      submit(await signEntry(signer, "reversal", { version: 1, receipt: receiptIdOf(receiptId) })),

    async acknowledge(receiptId) {
      const { signer } = await sessions.current();
      return submit(await signEntry(signer, "acknowledgement", { version: 1, receipt: receiptIdOf(receiptId) }));
    },

    async affiliate(keyIds, signer) {
      const keys = [...new Set(keyIds)].sort().map(parseId);
      if (signer !== undefined) return submit(await signEntry(signer, "affiliation", { version: 1, keys }));
      const { id, signer: own } = await sessions.current();
      return submit(await signEntry(own, "affiliation", { version: 1, session: id, keys }));
    },

    async disputeLabel(receiptId, evidence, signer, name) {
      const says = {
        version: 1,
        receipt: receiptIdOf(receiptId),
        ground: "label",
        evidence: sha256(evidence),
      } as const;
      const entry = await signEntry(signer, "dispute", says);
      const id = hex(signedId(entry.signed));
      try {
        return { ...(await submit(entry)), id };
      } catch (error) {
        if (!(error instanceof RefusedError) || error.code !== "forbidden") throw error;
        await enrol(signer, "disputer", name); // It is no key yet that may dispute this receipt's label.
        return { ...(await submit(entry)), id };
      }
    },

    async resolve(dispute, outcome, evidence, signer) {
      const says = { version: 1, dispute: parseId(dispute), outcome, evidence: sha256(evidence) } as const;
      return submit(await signEntry(signer, "resolution", says));
    },

    async recompute(says, signer, name) {
      const { alreadyLogged: wasEnrolled } = await enrol(signer, "auditor", name);
      return { ...(await submit(await signEntry(signer, "recomputation", { version: 1, ...says }))), wasEnrolled };
    },
  };
}

/** The bytes of a receipt's id. Throws TypeError. */
export function receiptIdOf(receiptId: string): Uint8Array {
  const id = parseHex(receiptId);
  if (id?.length !== 32) throw new TypeError(`${JSON.stringify(receiptId)} is not a receipt id of 64 hex digits`);
  return id;
}

function parseId(text: string): Uint8Array {
  const id = parseHex(text);
  if (id?.length !== 32) throw new TypeError(`${JSON.stringify(text)} is not an id of 64 hex digits`);
  return id;
}
