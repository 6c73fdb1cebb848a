/** A network of one process and no socket: real entries, signed, logged, and folded by the protocol into the page's view. */
import {
  type AuthorizationPayload,
  applyEntry,
  type Category,
  type Custody,
  commit,
  createFold,
  dayOf,
  type Entry,
  type EntryOf,
  encodeManifest,
  encodeNote,
  encodeNoteKey,
  figuresOf,
  hex,
  keyId,
  possessionMessage,
  type ReceiptPayload,
  type Role,
  revisionOf,
  type Signer,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { fixedSigner } from "../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../test/log-in-memory.ts";
import { MANIFEST, OPENING } from "../../../test/one-receipt.ts";
import type { HomeView, LatestReceipt } from "../src/view.ts";

export type Published = { revision: Uint8Array; name: string };
export type Session = { grant: EntryOf<"grant">; signer: Signer; calls: number };
export type CallOptions = Partial<Pick<AuthorizationPayload, "traffic" | "decision"> & Pick<ReceiptPayload, "status">>;

const EXPIRY_SECONDS = 4_000_000_000;

export class TestNetwork {
  readonly #fold = createFold();
  readonly #log = new LogInMemory();
  readonly #latest: LatestReceipt[] = [];
  #sessions = 0;
  #checkpoint = "";

  /** A network with a key for each role, and nothing asked of it. */
  static async create(): Promise<TestNetwork> {
    const network = new TestNetwork();
    for (const role of ["log", "gateway", "node", "publisher", "relier"] satisfies Role[]) {
      const signer = fixedSigner(role);
      const says = { version: 1, action: "enrol", role, spki: signer.spki, name: `the-${role}` } as const;
      network.#append(await signEntry(signer, "key", says));
    }
    return network;
  }

  async publish(name: string, category: Category, version = "1"): Promise<Published> {
    const manifest = encodeManifest({ ...MANIFEST, name, category, version });
    const revision = revisionOf(manifest);
    const says = { version: 1, action: "publish", revision, manifest } as const;
    this.#append(await signEntry(fixedSigner("publisher"), "model", says));
    return { revision, name };
  }

  async yank({ revision }: Published): Promise<void> {
    this.#append(await signEntry(fixedSigner("publisher"), "model", { version: 1, action: "yank", revision }));
  }

  /** A session of a requester of its own. */
  async open(custody: Custody): Promise<Session> {
    const label = `session ${this.#sessions++}`;
    const signer = fixedSigner(label);
    const gateway = fixedSigner("gateway");
    const holder = { origin: this.#log.key.name, gateway: keyId(gateway.spki), sessionKey: signer.spki };
    const grant = await signEntry(gateway, "grant", {
      version: 1,
      ...holder,
      custody,
      payerTag: sha256(utf8(label)).subarray(0, 16),
      tagMode: "stable",
      budget: 0n,
      paymentClass: "free",
      expiry: EXPIRY_SECONDS,
      possession: await signer.sign(possessionMessage(holder)),
    });
    return { grant: this.#append(grant), signer, calls: 0 };
  }

  /** One call, from the requester's half to its receipt in the log; the receipt's id. */
  async call(session: Session, model: Published, options: CallOptions = {}): Promise<Uint8Array> {
    const { traffic = "production", status = "ok", decision } = options;
    const authorization = await signAuthorization(session.signer, {
      version: 1,
      session: signedId(session.grant.signed),
      nonce: session.calls++,
      revision: model.revision,
      request: commit("request", OPENING.request.salt, OPENING.request.bytes),
      tier: "signed",
      maxPrice: 0n,
      expiry: EXPIRY_SECONDS,
      openness: "lot",
      traffic,
      ...(decision === undefined ? {} : { decision }),
    });
    const response = commit("response", OPENING.response.salt, OPENING.response.bytes);
    const receipt = await signEntry(fixedSigner("node"), "receipt", {
      version: 1,
      authorization: authorization.signed.bytes,
      status,
      profile: { runtime: "a-runtime@1", binary: new Uint8Array(32), exactness: "exact" },
      ...(status === "ok" ? { response } : {}),
      units: 1,
      price: 0n,
      provenance: "executed",
      sequence: this.#latest.length,
    });
    const index = this.#log.entries.length;
    this.#append(receipt);
    const id = signedId(authorization.signed);
    const { custody } = session.grant.says;
    this.#latest.unshift({ id: hex(id), index, model: model.name, status, custody, day: null });
    return id;
  }

  async rely(receipt: Uint8Array): Promise<void> {
    this.#append(await signEntry(fixedSigner("relier"), "reliance", { version: 1, receipt }));
  }

  /** A checkpoint over all there is, cosigned at `timeSeconds`, and the epoch entry that carries it. */
  async epoch(timeSeconds: number): Promise<void> {
    this.#checkpoint = encodeNote(this.#log.checkpoint(timeSeconds));
    this.#append(await signEntry(fixedSigner("log"), "epoch", { version: 1, checkpoint: utf8(this.#checkpoint) }));
    for (const receipt of this.#latest) receipt.day ??= dayOf(timeSeconds);
  }

  view(): HomeView {
    return {
      figures: figuresOf(this.#fold),
      origin: this.#log.key.name,
      logVkey: encodeNoteKey(this.#log.key),
      checkpoint: this.#checkpoint,
      url: "http://127.0.0.1:4780",
      firstCall: "curl -s http://127.0.0.1:4780/v2/models/example/double/infer -d @example.json",
      latest: this.#latest.slice(0, 10),
      witnesses: [],
      witnessedSize: undefined,
    };
  }

  #append<E extends Entry>(entry: E): E {
    applyEntry(this.#fold, entry);
    this.#log.append(entry.signed.bytes);
    return entry;
  }
}
