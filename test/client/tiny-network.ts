/**
 * A network behind one fetch function, in memory and of real entries: just enough for a client to ask, and for a test to
 * answer it wrongly. What the client must notice is decided here; that a whole network behaves is test/server's.
 */
import {
  type AuthorizationPayload,
  base64,
  commit,
  type Delivery,
  type EntryOf,
  encodeAnswer,
  encodeDelivery,
  encodeManifest,
  encodeNoteKey,
  encodeReceiptFile,
  floatTensor,
  hex,
  keyId,
  parseAuthorization,
  parseBase64,
  parseDispatch,
  type ReceiptPayload,
  revisionOf,
  type StreamState,
  sha256,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { fixedSigner } from "../fixed-keys.ts";
import { LogInMemory } from "../log-in-memory.ts";
import { MANIFEST } from "../one-receipt.ts";

export const API_KEY = "tally-test";
const SALT = new Uint8Array(32).fill(9);
const OUTPUTS = [floatTensor("y", [1, 2], [2, 4])];

/** A call as the network has it before it answers. */
export type Served = {
  network: TinyNetwork;
  asked: AuthorizationPayload;
  authorization: Uint8Array;
  /** What an honest network delivers. */
  delivery: Delivery;
  /** A receipt by the node that says otherwise than an honest one. */
  receiptThat(says: (honest: ReceiptPayload) => ReceiptPayload): Promise<Uint8Array>;
};

/** A receipt that was signed and logged. */
type Issued = { asked: AuthorizationPayload; receipt: Uint8Array } & Pick<Served, "receiptThat">;

export type TinySettings = {
  /** What is delivered instead. */
  deliver?: (served: Served) => Uint8Array | Promise<Uint8Array>;
  /** What answers a request instead, where it gives something. */
  answer?: (path: string, init: RequestInit | undefined) => Response | undefined;
  nowMs?: () => number;
};

type Part = "gateway" | "node" | "publisher" | "model";

export class TinyNetwork {
  readonly log = new LogInMemory();
  readonly asked: AuthorizationPayload[] = [];
  readonly sessions: EntryOf<"grant">[] = [];
  readonly submitted: Uint8Array[] = [];
  readonly #settings: TinySettings;
  readonly #index = new Map<Part | string, number>();
  readonly #receipts = new Map<string, { grant: EntryOf<"grant"> }>();
  readonly revision: Uint8Array;

  private constructor(settings: TinySettings) {
    this.#settings = settings;
    this.revision = revisionOf(encodeManifest(MANIFEST));
  }

  static async open(settings: TinySettings = {}): Promise<TinyNetwork> {
    const network = new TinyNetwork(settings);
    for (const role of ["gateway", "node", "publisher"] as const) {
      const says = { version: 1, action: "enrol", role, spki: fixedSigner(role).spki, name: `tiny-${role}` } as const;
      network.#append(role, (await signEntry(fixedSigner(role), "key", says)).signed.bytes);
    }
    const manifest = encodeManifest(MANIFEST);
    const says = { version: 1, action: "publish", revision: network.revision, manifest, price: 3n } as const;
    network.#append("model", (await signEntry(fixedSigner("publisher"), "model", says)).signed.bytes);
    return network;
  }

  #append(name: string, entry: Uint8Array): void {
    this.#index.set(name, this.log.append(entry));
  }

  /** What `createClient` reaches it through. */
  readonly fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    const path = new URL(url).pathname;
    const [, receiptId] = /^\/v1\/receipts\/(.+)$/.exec(path) ?? [];
    const instead = this.#settings.answer?.(path, init);
    if (instead !== undefined) return instead;
    if (receiptId !== undefined) return this.#receiptFile(receiptId);
    if (path === "/v1/network") return Response.json(this.#describe());
    if (path === "/v1/sessions") return this.#grant(String(init?.body));
    if (path === "/v1/infer") return this.#infer(new Uint8Array(await new Response(init?.body ?? null).arrayBuffer()));
    if (path === "/v1/entries")
      return this.#submit(new Uint8Array(await new Response(init?.body ?? null).arrayBuffer()));
    if (path === `/v1/models/${MANIFEST.name}`) return Response.json(this.#model());
    return refusal(404, "not_found", `nothing at ${path}`);
  };

  #describe() {
    const gateway = base64(keyId(fixedSigner("gateway").spki));
    return { origin: this.log.key.name, logVkey: encodeNoteKey(this.log.key), gateway };
  }

  #model() {
    const { name, version } = MANIFEST;
    const tallystick = { version, revision: hex(this.revision), price: "3" };
    return { id: name, tallystick, manifestBytes: base64(encodeManifest(MANIFEST)) };
  }

  async #grant(body: string): Promise<Response> {
    const { sessionKey, possession, expiry } = JSON.parse(body) as Record<"sessionKey" | "possession", string> & {
      expiry: number;
    };
    const [key, shown] = [parseBase64(sessionKey), parseBase64(possession)].map((bytes) => bytes ?? new Uint8Array(0));
    const grant = await this.grantTo(key!, "account", { expiry, possession: shown! });
    return Response.json({ grant: base64(grant.signed.bytes) }, { status: 201 });
  }

  /** Grants a session to a key and logs that. */
  async grantTo(
    sessionKey: Uint8Array,
    custody: "account" | "gateway",
    shown: Partial<{ expiry: number; possession: Uint8Array }> = {},
  ): Promise<EntryOf<"grant">> {
    const gateway = fixedSigner("gateway");
    const grant = await signEntry(gateway, "grant", {
      version: 1,
      origin: this.log.key.name,
      gateway: keyId(gateway.spki),
      sessionKey,
      custody,
      payerTag: sha256(utf8("payer")).subarray(0, 16),
      tagMode: "stable",
      budget: 0n,
      paymentClass: "free",
      expiry: 0xffff_ffff,
      possession: new Uint8Array(64),
      ...shown,
    });
    this.sessions.push(grant);
    this.#append(hex(signedId(grant.signed)), grant.signed.bytes);
    return grant;
  }

  async #infer(body: Uint8Array): Promise<Response> {
    const { authorization } = parseDispatch(body);
    const answer = encodeAnswer(OUTPUTS);
    const { asked, receipt, receiptThat } = await this.issue(authorization, { answer, salt: SALT });
    const delivery = { receipt, answer, salt: SALT };
    const delivered = this.#settings.deliver?.({ network: this, asked, authorization, delivery, receiptThat });
    return new Response(((await delivered) ?? encodeDelivery(delivery)) as BodyInit);
  }

  /** Signs a receipt for an answer and logs it. */
  async issue(
    authorization: Uint8Array,
    answered: { answer: Uint8Array; salt: Uint8Array; stream?: StreamState },
  ): Promise<Issued> {
    const { says: asked, signed } = parseAuthorization(authorization);
    this.asked.push(asked);
    const honest: ReceiptPayload = {
      version: 1,
      authorization,
      status: "ok",
      profile: { runtime: "tiny@1", binary: sha256(utf8("engine")), exactness: "exact" },
      response: commit("response", answered.salt, answered.answer),
      units: 1,
      price: asked.maxPrice,
      provenance: "executed",
      sequence: this.asked.length - 1,
      ...(answered.stream === undefined ? {} : { stream: answered.stream }),
    };
    const receiptThat: Served["receiptThat"] = async (says) =>
      (await signEntry(fixedSigner("node"), "receipt", says(honest))).signed.bytes;
    const receipt = await receiptThat((says) => says);
    const id = hex(signedId(signed));
    const grant = this.sessions.find((session) => hex(signedId(session.signed)) === hex(asked.session));
    if (grant === undefined) throw new Error("no such session");
    this.#receipts.set(id, { grant });
    this.#append(id, receipt);
    return { asked, receipt, receiptThat };
  }

  #receiptFile(id: string): Response {
    const found = this.#receipts.get(id);
    return found === undefined
      ? refusal(404, "not_found", `no receipt ${id}`)
      : new Response(this.file(id, found.grant, id));
  }

  /** The file of receipt `id`, under the name of another where a test wants that. */
  file(id: string, grant: EntryOf<"grant"> = this.#receipts.get(id)!.grant, name: string = id): string {
    const seconds = Math.floor((this.#settings.nowMs?.() ?? Date.now()) / 1000);
    const part = (key: string) => {
      const index = this.#index.get(key) ?? 0;
      return { bytes: this.log.entries[index]!, proofText: this.log.prove(index, seconds) };
    };
    const session = hex(signedId(grant.signed));
    const parts = {
      receipt: part(id),
      grant: part(session),
      gateway: part("gateway"),
      node: part("node"),
      model: part("model"),
      publisher: part("publisher"),
    };
    return encodeReceiptFile({ id: Uint8Array.from(Buffer.from(name, "hex")), parts, handovers: [] });
  }

  #submit(entry: Uint8Array): Response {
    this.submitted.push(entry);
    return Response.json({ index: this.log.append(entry), alreadyLogged: false });
  }
}

export function refusal(status: number, code: string, message: string, receiptId?: string): Response {
  return Response.json({ error: { code, message, ...(receiptId === undefined ? {} : { receiptId }) } }, { status });
}
