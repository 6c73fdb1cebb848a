/** One receipt and all that it rests on, signed and logged, for tests: any step may be changed before it is signed. */
import {
  type Authorization,
  type AuthorizationPayload,
  commit,
  type EntryOf,
  encodeAnswer,
  encodeCall,
  encodeManifest,
  encodeReceiptFile,
  filesRoot,
  floatTensor,
  type GrantPayload,
  type KeyPayload,
  keyId,
  type Manifest,
  type Opening,
  type Part,
  possessionMessage,
  revisionOf,
  type Signer,
  sha256,
  signAuthorization,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { fixedSigner } from "./fixed-keys.ts";
import { LogInMemory } from "./log-in-memory.ts";

/** 2026-11-22T12:00:00Z. */
export const NOON_SECONDS = Date.UTC(2026, 10, 22, 12) / 1000;
export const MANIFEST: Manifest = (() => {
  const artifacts = ["card.md", "model.onnx"].map((path) => ({
    path,
    role: path === "card.md" ? ("card" as const) : ("model" as const),
    sizeBytes: path.length,
    digest: sha256(utf8(path)),
  }));
  return {
    name: "example/double",
    version: "1.0.0",
    category: "risk",
    task: "regression",
    licence: "Apache-2.0",
    summary: "Doubles each of two numbers.",
    artifacts,
    filesRoot: filesRoot(artifacts),
    adapter: { name: "table", version: 1, options: "{}" },
    engine: "judge",
    forms: [[{ name: "x", datatype: "FP32", shape: [-1, 2] }]],
    outputs: [{ name: "y", datatype: "FP32", shape: [-1, 2] }],
    unit: "row",
    quality: [],
  };
})();

export const OPENING = {
  request: {
    salt: sha256(utf8("request salt")),
    bytes: encodeCall({ operation: "infer", inputs: [floatTensor("x", [1, 2], [1, 2.5])], outputs: [] }),
  },
  response: {
    salt: sha256(utf8("response salt")),
    bytes: encodeAnswer([floatTensor("y", [1, 2], [2, 5])]),
  },
} satisfies Opening;

type Entries = {
  receipt: EntryOf<"receipt">;
  grant: EntryOf<"grant">;
  gateway: EntryOf<"key">;
  node: EntryOf<"key">;
  model: EntryOf<"model">;
  publisher: EntryOf<"key">;
};
type Change<T> = (says: T) => T;

/** What a test has otherwise: what a part says, who signs it, in what order the parts are logged. */
export type Changes = {
  says?: { [P in Part]?: Change<Entries[P]["says"]> } & { authorization?: Change<AuthorizationPayload> };
  signers?: Partial<Record<Part | "authorization" | "possession", Signer>>;
  order?: readonly Part[];
  opening?: Opening;
  seenSeconds?: number;
};

export type OneReceipt = {
  log: LogInMemory;
  entries: Entries;
  authorization: Authorization;
  /** The receipt file's text. */
  text: string;
};

/** Each before what rests on it. */
const ORDER: readonly Part[] = ["gateway", "node", "publisher", "model", "grant", "receipt"];

/** Signs every part, appends it to `log` and writes the receipt file. */
export async function issueReceipt(changes: Changes = {}, log: LogInMemory = new LogInMemory()): Promise<OneReceipt> {
  const { authorization, ...entries } = await signParts(changes, log.key.name);
  const order = changes.order ?? ORDER;
  const first = log.entries.length;
  for (const part of order) log.append(entries[part].signed.bytes);
  const partOf = (part: Part) => {
    const proofText = log.prove(first + order.indexOf(part), changes.seenSeconds ?? NOON_SECONDS);
    return { bytes: entries[part].signed.bytes, proofText };
  };
  const parts = {
    receipt: partOf("receipt"),
    grant: partOf("grant"),
    gateway: partOf("gateway"),
    node: partOf("node"),
    model: partOf("model"),
    publisher: partOf("publisher"),
  };
  const id = signedId(authorization.signed);
  const text = encodeReceiptFile({ id, parts, handovers: [], opening: changes.opening ?? OPENING });
  return { log, entries, authorization, text };
}

async function signParts({ says = {}, signers = {} }: Changes, origin: string) {
  const gateway = await enrol("gateway", signers.gateway, says.gateway);
  const node = await enrol("node", signers.node, says.node);
  const publisher = await enrol("publisher", signers.publisher, says.publisher);
  const manifest = encodeManifest(MANIFEST);
  const model = await signEntry(
    signers.model ?? fixedSigner("publisher"),
    "model",
    change(says.model, { version: 1, action: "publish", revision: revisionOf(manifest), manifest, price: 3n }),
  );
  const grant = await signGrant({ says, signers }, origin);
  const authorization = await signAuthorization(
    signers.authorization ?? fixedSigner("session"),
    change(says.authorization, {
      version: 1,
      session: signedId(grant.signed),
      nonce: 0,
      revision: model.says.revision,
      request: commit("request", OPENING.request.salt, OPENING.request.bytes),
      tier: "signed",
      maxPrice: 5n,
      expiry: NOON_SECONDS + 60,
      openness: "none",
      traffic: "production",
    }),
  );
  const receipt = await signEntry(
    signers.receipt ?? fixedSigner("node"),
    "receipt",
    change(says.receipt, {
      version: 1,
      authorization: authorization.signed.bytes,
      status: "ok",
      profile: { runtime: "onnxruntime-web@1.2.3", binary: sha256(utf8("engine")), exactness: "exact" },
      response: commit("response", OPENING.response.salt, OPENING.response.bytes),
      units: 1,
      price: 3n,
      provenance: "executed",
      sequence: 0,
    }),
  );
  return { gateway, node, publisher, model, grant, authorization, receipt };
}

function enrol(role: "gateway" | "node" | "publisher", signer?: Signer, says?: Change<KeyPayload>) {
  const { spki } = fixedSigner(role);
  const enrolment: KeyPayload = { version: 1, action: "enrol", role, spki, name: `example-${role}` };
  return signEntry(signer ?? fixedSigner(role), "key", change(says, enrolment));
}

async function signGrant({ says = {}, signers = {} }: Changes, origin: string): Promise<EntryOf<"grant">> {
  const session = { origin, gateway: keyId(fixedSigner("gateway").spki), sessionKey: fixedSigner("session").spki };
  const grant: GrantPayload = {
    version: 1,
    ...session,
    custody: "account",
    payerTag: sha256(utf8("payer")).subarray(0, 16),
    tagMode: "stable",
    budget: 1_000n,
    paymentClass: "free",
    expiry: NOON_SECONDS + 3_600,
    possession: await (signers.possession ?? fixedSigner("session")).sign(possessionMessage(session)),
  };
  return signEntry(signers.grant ?? fixedSigner("gateway"), "grant", change(says.grant, grant));
}

function change<T>(made: Change<T> | undefined, says: T): T {
  return made === undefined ? says : made(says);
}
