/**
 * A network in memory, with simulated time: whatever happens in it becomes an entry, by the codecs of the protocol, and is
 * folded at once. It knows what no log says: who is behind each key and each payer.
 */
import {
  applyEntry,
  balanceOf,
  bytesOf,
  CHARGED_RECEIPTS,
  type Custody,
  checkpointText,
  createFold,
  daysWithoutSnapshot,
  type EntryKind,
  type EntryOf,
  encodeManifest,
  encodeNote,
  type FoldState,
  Frontier,
  filesRoot,
  type GrantPayload,
  type Key,
  keyId,
  keyOf,
  type Label,
  leafHash,
  possessionMessage,
  type ReceiptPayload,
  type Role,
  revisionOf,
  type Signer,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  type UsedReceipt,
  utf8,
  type WashRules,
} from "@tallystick/protocol";
import { type Keyring, ORIGIN, signCheckpoint } from "./keyring.ts";
import type { Random } from "./random.ts";

/** Who is behind keys and payers: one name is one pocket. */
export type Owner = string;

/** A key of the network and its holder. */
export type Holder = { owner: Owner; signer: Signer; id: Uint8Array };

export type Model = { revision: Uint8Array; priceAtomic: bigint; publisher: Holder; node: Holder };

/** Where a payer's money comes from. */
export type Purse = {
  /** The key that a top-up names; undefined where the gateway names none. */
  funder: Uint8Array | undefined;
  source: "operator" | "transfer";
  /** How much comes in when what is there does not suffice. */
  amountAtomic: bigint;
};

export type Payer = {
  owner: Owner;
  tag: Uint8Array;
  session: Signer;
  sessionId: Uint8Array;
  gateway: Holder;
  nonce: number;
  purse: Purse | undefined;
  isAnonymous: boolean;
  /** What is left of its own money, which is spent first, of money whose funder the gateway does not name, and of an operator's. */
  left: { namedAtomic: bigint; unnamedAtomic: bigint; operatorsAtomic: bigint };
};

/** A receipt, and what the simulation knows of it: who is behind its payer, and whose money it is. */
export type Made = {
  receipt: UsedReceipt;
  id: Uint8Array;
  owner: Owner;
  priceAtomic: bigint;
  operatorsAtomic: bigint;
  unnamedAtomic: bigint;
  /** What keeps it from being judged as demand, whoever is behind it. */
  stated: Extract<Label, "free" | "subsidised" | "unattributed" | "anonymous"> | undefined;
};

export type Terms = Partial<Pick<GrantPayload, "tagMode" | "paymentClass">> & { custody?: Custody };
export type CallTerms = {
  traffic?: "production" | "test" | "probe";
  status?: ReceiptPayload["status"];
  decision?: Uint8Array;
};

const PROFILE = { runtime: "simulated@1.0.0", binary: sha256(utf8("simulated")), exactness: "exact" } as const;
const NEVER = 0xffff_ffff;
const UNLIMITED = 10n ** 18n;
/** The tensors of every model here: nothing runs them. */
const TENSOR = { name: "x", datatype: "FP32" as const, shape: [-1, 1] };

export class World {
  readonly fold: FoldState;
  readonly entries: Uint8Array[] = [];
  /** Every receipt, in order. */
  readonly made: Made[] = [];
  /** Who is behind a key's id or a payer's tag. */
  readonly owners = new Map<Key, Owner>();
  /** What owners paid to those outside the network, as an exchange's fee. */
  readonly fees = new Map<Owner, bigint>();
  readonly #keyring: Keyring;
  readonly #random: Random;
  readonly #frontier = new Frontier();
  readonly #sequences = new Map<Key, number>();
  readonly #operators = new Set<Key>();
  #epochSize = 0;

  /** `rules` are those of which the log has a snapshot of each closed day, as a log that is to be audited does. */
  constructor(keyring: Keyring, random: Random, rules: readonly WashRules[]) {
    this.fold = createFold(rules);
    this.#keyring = keyring;
    this.#random = random;
  }

  /** The key of a label, and its id. */
  holder(label: string, owner: Owner): Holder {
    const signer = this.#keyring.signerOf(label);
    const id = keyId(signer.spki);
    this.owners.set(keyOf(id), owner);
    return { owner, signer, id };
  }

  async #log<K extends EntryKind>(
    signer: Signer,
    kind: K,
    says: Parameters<typeof signEntry<K>>[2],
  ): Promise<EntryOf<K>> {
    const entry = await signEntry(signer, kind, says);
    this.entries.push(entry.signed.bytes);
    this.#frontier.push(leafHash(entry.signed.bytes));
    applyEntry(this.fold, entry);
    return entry;
  }

  async enrol({ signer, id }: Holder, role: Role): Promise<void> {
    if (role !== "relier") this.#operators.add(keyOf(id));
    await this.#log(signer, "key", { version: 1, action: "enrol", role, spki: signer.spki, name: `simulated-${role}` });
  }

  /** A key that is enrolled at once. */
  async enrolled(label: string, role: Role, owner: Owner): Promise<Holder> {
    const holder = this.holder(label, owner);
    await this.enrol(holder, role);
    return holder;
  }

  async publish(name: string, publisher: Holder, node: Holder, priceAtomic: bigint): Promise<Model> {
    const manifest = manifestOf(name);
    const revision = revisionOf(manifest);
    const says = { version: 1, action: "publish", revision, manifest, price: priceAtomic } as const;
    await this.#log(publisher.signer, "model", says);
    return { revision, priceAtomic, publisher, node };
  }

  /** A payer with a session. `label` is its session key's. */
  payer(label: string, owner: Owner, gateway: Holder, purse: Purse | undefined, terms?: Terms): Promise<Payer> {
    return this.payerOf({ owner, signer: this.#keyring.signerOf(label) }, gateway, purse, terms);
  }

  /** A payer whose session key is a key of the network. */
  async payerOf(
    { owner, signer: session }: Pick<Holder, "owner" | "signer">,
    gateway: Holder,
    purse: Purse | undefined,
    terms: Terms = {},
  ): Promise<Payer> {
    const tag = this.#random.bytes(16);
    const says = { origin: ORIGIN, gateway: gateway.id, sessionKey: session.spki };
    const grant = await this.#log(gateway.signer, "grant", {
      version: 1,
      ...says,
      custody: "account",
      payerTag: tag,
      tagMode: "stable",
      budget: UNLIMITED,
      paymentClass: purse === undefined ? "free" : "credits",
      expiry: NEVER,
      possession: await session.sign(possessionMessage(says)),
      ...terms,
    });
    this.owners.set(keyOf(tag), owner);
    const left = { namedAtomic: 0n, unnamedAtomic: 0n, operatorsAtomic: 0n };
    const isAnonymous = terms.tagMode === "anonymous";
    return { owner, tag, session, sessionId: signedId(grant.signed), gateway, nonce: 0, purse, isAnonymous, left };
  }

  async topUp({ tag, gateway, left }: Payer, { funder, source, amountAtomic }: Purse): Promise<void> {
    if (source === "operator" || (funder !== undefined && this.#operators.has(keyOf(funder))))
      left.operatorsAtomic += amountAtomic;
    else if (funder === undefined) left.unnamedAtomic += amountAtomic;
    else left.namedAtomic += amountAtomic;
    await this.#log(gateway.signer, "settlement", {
      ...{ version: 1, action: "topup", payerTag: tag, amount: amountAtomic, source },
      ...{ reference: this.#random.bytes(16), ...(funder === undefined ? {} : { funder }) },
    });
  }

  /** One call and its receipt. A payer whose money does not suffice tops up from its purse first. */
  async call(payer: Payer, model: Model, terms: CallTerms = {}): Promise<Made> {
    const { traffic = "production", status = "ok", decision } = terms;
    const priceAtomic = status === "ok" ? model.priceAtomic : 0n;
    const { purse } = payer;
    if (priceAtomic > balanceOf(this.fold, keyOf(payer.tag)) && purse !== undefined) await this.topUp(payer, purse);
    const authorization = await signAuthorization(payer.session, {
      ...{ version: 1, session: payer.sessionId, nonce: payer.nonce++, revision: model.revision },
      ...{ request: this.#commitment(), tier: "signed", maxPrice: model.priceAtomic, expiry: NEVER },
      ...{ openness: "none", traffic, ...(decision === undefined ? {} : { decision }) },
    });
    const node = keyOf(model.node.id);
    const sequence = this.#sequences.get(node) ?? 0;
    this.#sequences.set(node, sequence + 1);
    await this.#log(model.node.signer, "receipt", {
      ...{ version: 1, authorization: authorization.signed.bytes, status, profile: PROFILE, units: 1 },
      ...{ price: priceAtomic, provenance: "executed", sequence },
      ...(status === "ok" ? { response: this.#commitment() } : {}),
    });
    const id = signedId(authorization.signed);
    const receipt = this.fold.receipts.get(keyOf(id));
    if (receipt === undefined) throw new Error("the fold does not have a receipt that was just logged");
    const made: Made = { receipt, id, owner: payer.owner, priceAtomic, ...spend(payer, priceAtomic) };
    this.made.push(made);
    return made;
  }

  /** To what, nobody can say: there are no calls behind it. */
  #commitment() {
    return { alg: "sha256", digest: this.#random.bytes(32) } as const;
  }

  /** Gives back all that a call cost. */
  async refund(payer: Payer, { id, priceAtomic, operatorsAtomic, unnamedAtomic }: Made): Promise<void> {
    payer.left.operatorsAtomic += operatorsAtomic;
    payer.left.unnamedAtomic += unnamedAtomic;
    payer.left.namedAtomic += priceAtomic - operatorsAtomic - unnamedAtomic;
    const says = {
      action: "refund",
      payerTag: payer.tag,
      amount: priceAtomic,
      receipt: id,
      reason: "goodwill",
    } as const;
    await this.#log(payer.gateway.signer, "settlement", { version: 1, ...says });
  }

  async acknowledge({ session }: Payer, { id }: Made): Promise<void> {
    await this.#log(session, "acknowledgement", { version: 1, receipt: id });
  }

  async rely({ signer }: Holder, { id }: Made): Promise<void> {
    await this.#log(signer, "reliance", { version: 1, receipt: id });
  }

  /** Two keys say of one another that they are of one owner. */
  async affiliate(one: Holder, other: Holder): Promise<void> {
    await this.#log(one.signer, "affiliation", { version: 1, keys: [other.id] });
    await this.#log(other.signer, "affiliation", { version: 1, keys: [one.id] });
  }

  /** A payer and a key say so: the payer by the key of its session. */
  async affiliatePayer({ session, sessionId }: Payer, other: Holder): Promise<void> {
    await this.#log(session, "affiliation", { version: 1, session: sessionId, keys: [other.id] });
    await this.#log(other.signer, "affiliation", { version: 1, keys: [keyId(session.spki)] });
  }

  /** Charges whatever is not charged, each payer by the gateway of its sessions, and pays all earnings out. */
  async settle(gateways: readonly Holder[]): Promise<void> {
    const { credits, receipts } = this.fold;
    const due = new Map<Key, { payer: Key; gateway: Key; receipts: Uint8Array[]; amountAtomic: bigint }>();
    for (const id of credits.uncharged) {
      const [receipt, payment] = [receipts.get(id), credits.payments.get(id)];
      if (receipt === undefined || payment === undefined) continue;
      const { payer, gateway } = receipt.lane;
      const known = due.get(payer) ?? { payer, gateway, receipts: [], amountAtomic: 0n };
      due.set(payer, known);
      if (known.receipts.length === CHARGED_RECEIPTS) continue; // The rest has its turn the next time.
      known.receipts.push(bytesOf(id));
      known.amountAtomic += payment.priceAtomic - payment.refundedAtomic;
    }
    const byId = new Map(gateways.map((gateway) => [keyOf(gateway.id), gateway]));
    for (const { payer, gateway, receipts, amountAtomic } of due.values()) {
      const signer = byId.get(gateway)?.signer;
      const says = { action: "charge", payerTag: bytesOf(payer), amount: amountAtomic, receipts } as const;
      if (signer !== undefined) await this.#log(signer, "settlement", { version: 1, ...says });
    }
    await this.#payOut(byId);
  }

  /** A gateway of the payee's own pays it, where there is one. */
  async #payOut(gateways: ReadonlyMap<Key, Holder>): Promise<void> {
    const [first] = gateways.values();
    for (const [payee, { earnedAtomic, paidOutAtomic }] of [...this.fold.credits.payees]) {
      if (earnedAtomic <= paidOutAtomic) continue;
      const own = [...gateways.values()].find(({ owner }) => owner === this.owners.get(payee)) ?? first;
      const says = { action: "payout", amount: earnedAtomic - paidOutAtomic, payee: bytesOf(payee) } as const;
      if (own === undefined) continue;
      await this.#log(own.signer, "settlement", { version: 1, ...says, reference: this.#random.bytes(16) });
    }
  }

  payFee(owner: Owner, amountAtomic: bigint): void {
    this.fees.set(owner, (this.fees.get(owner) ?? 0n) + amountAtomic);
  }

  /** An epoch over everything so far, cosigned at `timeSeconds`, unless there is nothing new. */
  async epoch({ signer }: Holder, timeSeconds: number): Promise<void> {
    if (this.entries.length === this.#epochSize) return;
    const checkpoint = utf8(this.checkpointAt(timeSeconds));
    await this.#log(signer, "epoch", { version: 1, checkpoint });
    for (const snapshot of daysWithoutSnapshot(this.fold))
      await this.#log(signer, "snapshot", { version: 1, ...snapshot });
    this.#epochSize = this.entries.length;
  }

  /** The checkpoint of everything so far, as a file has it. */
  checkpointAt(timeSeconds: number): string {
    const root = this.#frontier.root();
    const text = checkpointText({ origin: ORIGIN, size: this.entries.length, root });
    return encodeNote({ text, signatures: signCheckpoint(this.#keyring, text, timeSeconds) });
  }
}

/** Takes a price from what a payer has, and says what that makes of the call. */
function spend(
  { left, isAnonymous }: Payer,
  priceAtomic: bigint,
): Pick<Made, "operatorsAtomic" | "unnamedAtomic" | "stated"> {
  const namedAtomic = least(priceAtomic, left.namedAtomic);
  left.namedAtomic -= namedAtomic;
  const unnamedAtomic = least(priceAtomic - namedAtomic, left.unnamedAtomic);
  left.unnamedAtomic -= unnamedAtomic;
  const operatorsAtomic = least(priceAtomic - namedAtomic - unnamedAtomic, left.operatorsAtomic);
  left.operatorsAtomic -= operatorsAtomic;
  const parts = { operatorsAtomic, unnamedAtomic };
  if (priceAtomic === 0n) return { ...parts, stated: "free" };
  if (2n * operatorsAtomic >= priceAtomic) return { ...parts, stated: "subsidised" };
  if (2n * namedAtomic <= priceAtomic) return { ...parts, stated: "unattributed" };
  return { ...parts, stated: isAnonymous ? "anonymous" : undefined };
}

function manifestOf(name: string): Uint8Array {
  const artifacts = [{ path: "model.onnx", role: "model" as const, sizeBytes: 1, digest: sha256(utf8(name)) }];
  return encodeManifest({
    ...{ name, version: "1.0.0", category: "risk", task: "none", licence: "CC0-1.0", summary: "Nothing runs it." },
    ...{ artifacts, filesRoot: filesRoot(artifacts), adapter: { name: "tensors", version: 1, options: "{}" } },
    ...{ engine: "judge", forms: [[TENSOR]], outputs: [TENSOR], unit: "row", quality: [] },
  });
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
