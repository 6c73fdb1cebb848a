/** A log made to be counted: who enrols, publishes, asks, answers, relies, and the epochs that give all of it a day. */
import { createHash } from "node:crypto";
import {
  type AppraisalPayload,
  type AuthorizationPayload,
  type Custody,
  commit,
  type DisputePayload,
  type Entry,
  type EntryKind,
  encodeManifest,
  type GrantPayload,
  hashChain,
  keyId,
  type Price,
  possessionMessage,
  type ReceiptPayload,
  type RecomputationPayload,
  type ReferencePayload,
  type ReliancePayload,
  type ResolutionPayload,
  type Role,
  type RootKind,
  revisionOf,
  type SettlementPayload,
  type Signer,
  type SnapshotPayload,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  utf8,
  type VerificationPayload,
} from "@tallystick/protocol";
import { LogInMemory } from "./log-in-memory.ts";
import { MANIFEST, NOON_SECONDS } from "./one-receipt.ts";

/** A signer for what is folded and never verified: its signatures are zeros. */
export function unsignedSigner(label: string): Signer {
  const spki = fixedSpkiHead(label);
  return { spki, sign: async () => new Uint8Array(64) };
}

/** 91 bytes of the form of a P-256 key; the point is on no curve. */
function fixedSpkiHead(label: string): Uint8Array {
  const head = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
  return new Uint8Array(Buffer.concat([head, createHash("sha512").update(label).digest()]));
}

/** The tag of a payer of that name; any 16 bytes that follow from a name. */
export function tagOf(name: string): Uint8Array {
  return sha256(utf8(name)).slice(0, 16);
}

type Topup = Extract<SettlementPayload, { action: "topup" }>;

export const HOUR = 3_600;
export const DAY = 24 * HOUR;

/** What a call has otherwise than the first session asking the first model of the first node. */
export type CallChanges = {
  session?: string;
  /** Who signs the authorization, where that is not the session's own key. */
  asker?: string;
  model?: string;
  node?: string;
  authorization?: Partial<AuthorizationPayload>;
  receipt?: Partial<ReceiptPayload>;
};

/** The engine, the measurement and the vendor's root that entries name where nothing else is said. */
export const JUDGE = sha256(utf8("judge"));
export const MEASUREMENT = sha256(utf8("measurement"));
export const VENDOR_ROOT = sha256(utf8("vendor root"));

export class UsageLog {
  readonly log = new LogInMemory();
  readonly entries: Entry[] = [];
  readonly #signerOf: (label: string) => Signer;
  readonly #sessions = new Map<string, Uint8Array>();
  readonly #nonces = new Map<string, number>();
  readonly #chains = new Map<string, Uint8Array[]>();

  constructor(signerOf: (label: string) => Signer = unsignedSigner) {
    this.#signerOf = signerOf;
  }

  /** A log with a key of each role, one model and one session. */
  static async open(signerOf?: (label: string) => Signer, price: Partial<Price> = {}): Promise<UsageLog> {
    const log = new UsageLog(signerOf);
    for (const role of ["log", "gateway", "node", "publisher", "relier"] as const) await log.enrol(role, role);
    await log.publish("example/double", "publisher", log.manifestOf("example/double"), price);
    await log.grant("session");
    return log;
  }

  append<E extends Entry>(entry: E): E {
    this.entries.push(entry);
    this.log.append(entry.signed.bytes);
    return entry;
  }

  async #sign<K extends EntryKind>(label: string, kind: K, says: Parameters<typeof signEntry<K>>[2]): Promise<void> {
    this.append((await signEntry(this.#signerOf(label), kind, says)) as Entry);
  }

  enrol(label: string, role: Role, action: "enrol" | "retire" = "enrol"): Promise<void> {
    return this.#sign(label, "key", { version: 1, action, role, spki: this.#signerOf(label).spki, name: "example" });
  }

  manifestOf(name: string): Uint8Array {
    return encodeManifest({ ...MANIFEST, name });
  }

  publish(
    name: string,
    publisher = "publisher",
    manifest = this.manifestOf(name),
    { priceAtomic, unitPriceAtomic, outputUnitPriceAtomic }: Partial<Price> = {},
  ): Promise<void> {
    const prices = { price: priceAtomic, unitPrice: unitPriceAtomic, outputUnitPrice: outputUnitPriceAtomic };
    const given = Object.fromEntries(Object.entries(prices).filter(([, price]) => price !== undefined));
    const revision = revisionOf(this.manifestOf(name));
    return this.#sign(publisher, "model", { version: 1, action: "publish", revision, manifest, ...given });
  }

  yank(name: string, publisher = "publisher"): Promise<void> {
    const revision = revisionOf(this.manifestOf(name));
    return this.#sign(publisher, "model", { version: 1, action: "yank", revision });
  }

  /** Grants the key of `label` a session of that name. */
  async grant(
    label: string,
    payer: string = label,
    custody: Custody = "account",
    key: string = label,
    terms: Partial<GrantPayload> = {},
    gateway = "gateway",
  ): Promise<void> {
    const { spki: sessionKey, sign } = this.#signerOf(key);
    const session = { origin: this.log.key.name, gateway: this.idOf(gateway), sessionKey };
    const says: GrantPayload = {
      version: 1,
      ...session,
      custody,
      payerTag: tagOf(payer),
      tagMode: "stable",
      budget: 1_000n,
      paymentClass: "free",
      expiry: NOON_SECONDS + 365 * DAY,
      possession: await sign(possessionMessage(session)),
      ...terms,
    };
    const entry = await signEntry(this.#signerOf(gateway), "grant", says);
    this.#sessions.set(label, signedId(entry.signed));
    this.append(entry);
  }

  /** Logs one receipt and gives its id. */
  async call(changes: CallChanges = {}): Promise<Uint8Array> {
    const { session = "session", asker = session, model = "example/double", node = "node" } = changes;
    const nonce = this.#nonces.get(session) ?? 0;
    if (changes.authorization?.nonce === undefined) this.#nonces.set(session, nonce + 1);
    const authorization = await signAuthorization(this.#signerOf(asker), {
      version: 1,
      session: this.sessionOf(session),
      nonce,
      revision: revisionOf(this.manifestOf(model)),
      request: commit("request", sha256(utf8("salt")), utf8("a call")),
      tier: "signed",
      maxPrice: 5n,
      expiry: NOON_SECONDS + DAY,
      openness: "none",
      traffic: "production",
      ...changes.authorization,
    });
    await this.#sign(node, "receipt", {
      version: 1,
      authorization: authorization.signed.bytes,
      status: "ok",
      response: commit("response", sha256(utf8("salt")), utf8("an answer")),
      profile: { runtime: "onnxruntime-web@1.2.3", binary: sha256(utf8("engine")), exactness: "exact" },
      units: 1,
      price: 0n,
      provenance: "executed",
      sequence: this.entries.length,
      ...changes.receipt,
    });
    return signedId(authorization.signed);
  }

  acknowledge(receipt: Uint8Array, session = "session"): Promise<void> {
    return this.#sign(session, "acknowledgement", { version: 1, receipt });
  }

  rely(receipt: Uint8Array, relier = "relier", changes: Partial<ReliancePayload> = {}): Promise<void> {
    return this.#sign(relier, "reliance", { version: 1, receipt, ...changes });
  }

  reverse(receipt: Uint8Array, relier = "relier"): Promise<void> {
    return this.#sign(relier, "reversal", { version: 1, receipt });
  }

  /** The key of `label` says that those of `others` are of one owner with it; as the key of a session, where that is named. */
  affiliate(label: string, others: readonly string[], session?: string): Promise<void> {
    const keys = others.map((other) => this.idOf(other)).sort(Buffer.compare);
    const signed = session === undefined ? {} : { session: this.sessionOf(session) };
    return this.#sign(label, "affiliation", { version: 1, ...signed, keys });
  }

  /** The id of the session that `label` was granted. */
  sessionOf(label: string): Uint8Array {
    return this.#sessions.get(label) ?? sha256(utf8(`no session ${label}`));
  }

  snapshot(changes: Partial<SnapshotPayload> = {}, by = "log"): Promise<void> {
    const digests = { rules: sha256(utf8("rules")), result: sha256(utf8("result")) };
    return this.#sign(by, "snapshot", {
      version: 1,
      day: "2026-11-22",
      size: this.entries.length,
      ...digests,
      ...changes,
    });
  }

  recompute(changes: Partial<RecomputationPayload> = {}, by = "auditor"): Promise<void> {
    const digests = { rules: sha256(utf8("rules")), result: sha256(utf8("result")) };
    const says = { version: 1, size: this.entries.length, ...digests, agrees: "yes" } as const;
    return this.#sign(by, "recomputation", { ...says, ...changes });
  }

  settle(says: SettlementPayload, gateway = "gateway"): Promise<void> {
    return this.#sign(gateway, "settlement", says);
  }

  /** Credits for `payer`; another `reference` is another top-up. */
  topUp(payer: string, amount: bigint, changes: Partial<Topup> = {}): Promise<void> {
    const reference = tagOf(`top-up ${this.entries.length}`);
    const says = {
      version: 1,
      action: "topup",
      payerTag: tagOf(payer),
      amount,
      source: "transfer",
      reference,
    } as const;
    return this.settle({ ...says, ...changes });
  }

  charge(payer: string, amount: bigint, receipts: Uint8Array[], gateway?: string): Promise<void> {
    return this.settle({ version: 1, action: "charge", payerTag: tagOf(payer), amount, receipts }, gateway);
  }

  refund(payer: string, amount: bigint, receipt: Uint8Array, gateway?: string): Promise<void> {
    const says: SettlementPayload = {
      version: 1,
      action: "refund",
      payerTag: tagOf(payer),
      amount,
      receipt,
      reason: "unproved",
    };
    return this.settle(says, gateway);
  }

  payOut(label: string, amount: bigint, reference: Uint8Array = tagOf(`payout ${this.entries.length}`)): Promise<void> {
    const payee = keyId(this.#signerOf(label).spki);
    return this.settle({ version: 1, action: "payout", amount, reference, payee });
  }

  /** Commits a verifier to the hash chain of its label: `length` reveals of it. */
  async commitLot(verifier: string, length = 1_000): Promise<void> {
    const chain = hashChain(sha256(utf8(`secret of ${verifier}`)), length);
    const anchor = chain.pop() ?? new Uint8Array(32);
    this.#chains.set(verifier, chain);
    await this.#sign(verifier, "lot", { version: 1, action: "commit", anchor, length });
  }

  /** The verifier's next reveal, for the lot of that epoch's entry. */
  async revealLot(verifier: string, epoch: number): Promise<void> {
    await this.reveal(verifier, epoch, this.#chains.get(verifier)?.pop() ?? new Uint8Array(32));
  }

  reveal(verifier: string, epoch: number, value: Uint8Array): Promise<void> {
    return this.#sign(verifier, "lot", { version: 1, action: "reveal", epoch, value });
  }

  verify(verifier: string, receipt: Uint8Array, changes: Partial<VerificationPayload> = {}): Promise<void> {
    const ran = changes.method !== "proof" && changes.outcome !== "unopened";
    return this.#sign(verifier, "verification", {
      version: 1,
      receipt,
      method: "reexecution",
      outcome: "passed",
      evidence: sha256(utf8("evidence")),
      cost: 100,
      ...(ran && { profile: { runtime: "onnxruntime-web@1.2.3", binary: JUDGE, exactness: "exact" } }),
      ...changes,
    });
  }

  appraise(verifier: string, node: string, changes: Partial<AppraisalPayload> = {}): Promise<void> {
    return this.#sign(verifier, "appraisal", {
      version: 1,
      key: this.idOf(node),
      technology: "nitro",
      outcome: "passed",
      evidence: sha256(utf8("evidence")),
      measurement: MEASUREMENT,
      root: VENDOR_ROOT,
      appraised: NOON_SECONDS,
      expiry: NOON_SECONDS + DAY,
      ...changes,
    });
  }

  reference(publisher: string, changes: Partial<ReferencePayload> = {}): Promise<void> {
    const says = { version: 1, action: "approve", technology: "nitro", measurement: MEASUREMENT } as const;
    return this.#sign(publisher, "reference", { ...says, release: "1.0.0", ...changes });
  }

  /** Disputes a receipt, and gives the dispute's id. */
  async dispute(
    disputer: string,
    receipt: Uint8Array,
    ground: DisputePayload["ground"] = "mismatch",
  ): Promise<Uint8Array> {
    const evidence = sha256(utf8("evidence"));
    await this.#sign(disputer, "dispute", { version: 1, receipt, ground, evidence });
    const entry = this.entries.at(-1);
    return entry === undefined ? new Uint8Array(32) : signedId(entry.signed);
  }

  resolve(referee: string, dispute: Uint8Array, outcome: ResolutionPayload["outcome"]): Promise<void> {
    return this.#sign(referee, "resolution", { version: 1, dispute, outcome, evidence: sha256(utf8("evidence")) });
  }

  revoke(kind: RootKind, root: Uint8Array, since?: number): Promise<void> {
    const says = { version: 1, kind, root, reason: "compromised" } as const;
    return this.#sign("log", "revocation", since === undefined ? says : { ...says, since });
  }

  idOf(label: string): Uint8Array {
    return keyId(this.#signerOf(label).spki);
  }

  /** An epoch over the first `size` entries, cosigned at `timeSeconds`. */
  epoch(timeSeconds: number, size: number = this.entries.length): Promise<void> {
    return this.epochOf(utf8(this.log.checkpointFile(timeSeconds, size)));
  }

  /** An epoch whose checkpoint is whatever is given. */
  epochOf(checkpoint: Uint8Array): Promise<void> {
    return this.#sign("log", "epoch", { version: 1, checkpoint });
  }
}
