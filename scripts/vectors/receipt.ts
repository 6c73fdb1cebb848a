/** test/vectors/receipt: receipt files and what verifying each must say. All but the one fault that is named is right. */
import {
  type AuthorizationPayload,
  encodeManifest,
  encodeNoteKey,
  type Manifest,
  type ReceiptPayload,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { LogInMemory } from "../../test/log-in-memory.ts";
import { type Changes, issueReceipt, MANIFEST, NOON_SECONDS, OPENING } from "../../test/one-receipt.ts";

const TRUSTED = encodeNoteKey(new LogInMemory().key);
const digest = sha256(utf8("something else"));

type Outcome = { outcome: "verified" | "failed" | "inconclusive"; failure?: string; check?: string };
type VectorChanges = Changes & { origin?: string };
type Edit = (file: ReceiptJson) => void;
/** A receipt file's JSON, as far as these vectors change it. */
type ReceiptJson = Record<string, { entry: string; proof?: string }> & { opening?: unknown };

export async function receiptVectors(): Promise<object[]> {
  const vectors: object[] = [];
  const add = async (desc: string, { outcome, failure, check }: Outcome, changes: VectorChanges = {}, edit?: Edit) => {
    const { text } = await issueReceipt(changes, new LogInMemory(changes.origin));
    vectors.push({
      desc,
      wantErr: outcome === "failed",
      outcome,
      ...(failure === undefined ? {} : { failure, check }),
      vkey: TRUSTED,
      file: edit === undefined ? text : edited(text, edit),
    });
  };
  const fails = (desc: string, check: string, failure: string, changes: VectorChanges = {}, edit?: Edit) =>
    add(desc, { outcome: "failed", failure, check }, changes, edit);

  await add("a receipt with its opening", { outcome: "verified" });
  await add("a receipt without its opening", { outcome: "verified" }, {}, (file) => {
    delete file.opening;
  });
  await add("a receipt of a failed request", { outcome: "verified" }, FAILED, (file) => {
    delete file.opening;
  });
  await add("a receipt that no checkpoint covers yet", { outcome: "inconclusive" }, {}, (file) => {
    delete part(file, "receipt").proof;
  });
  await fails("no publisher's enrolment", "form", "malformed", {}, (file) => {
    delete file.publisher;
  });
  await fails("a grant in the place of the receipt", "form", "malformed", {}, (file) => {
    part(file, "receipt").entry = part(file, "grant").entry;
  });
  await fails("another id", "id", "wrong_id", {}, (file) => Object.assign(file, { id: "00".repeat(32) }));
  await fails("an authorization that another key signed", "requester signature", "bad_signature", {
    signers: { authorization: { ...fixedSigner("session"), sign: fixedSigner("relier").sign } },
  });
  await fails("an authorization of another session", "requester signature", "not_granted", {
    says: { authorization: (says) => ({ ...says, session: digest }) },
  });
  await fails("a receipt that another key signed", "node signature", "bad_signature", {
    signers: { receipt: fixedSigner("relier") },
  });
  await fails("a node that enrolled as a relier", "node signature", "unknown_key", {
    says: { node: (says) => ({ ...says, role: "relier" }) },
  });
  await fails("a grant that another key signed", "grant", "bad_signature", {
    signers: { grant: { ...fixedSigner("gateway"), sign: fixedSigner("relier").sign } },
  });
  await fails("a grant that names another gateway", "grant", "not_granted", {
    says: { grant: (says) => ({ ...says, gateway: digest }) },
  });
  await fails("a session key that did not take its grant", "grant", "bad_signature", {
    signers: { possession: fixedSigner("gateway") },
  });
  await fails("a model that another key published", "model", "bad_signature", {
    signers: { model: fixedSigner("relier") },
  });
  await fails("a model that was yanked, not published", "model", "not_published", {
    says: { model: (says) => ({ version: 1, action: "yank", revision: says.revision }) },
  });
  await fails("a manifest that is not of the revision named", "model", "not_published", {
    says: {
      model: (says) => ({ ...says, revision: digest }),
      authorization: (says) => ({ ...says, revision: digest }),
    },
  });
  await fails("another revision than was asked for", "model", "not_published", {
    says: { authorization: (says) => ({ ...says, revision: digest }) },
  });
  await fails("a price over the maximum", "terms", "broken_terms", {
    says: { receipt: (says) => ({ ...says, price: 6n }) },
  });
  await fails("a price for a failed request", "terms", "broken_terms", {
    says: { receipt: (says) => ({ ...without(says), status: "failed", price: 1n }) },
  });
  for (const [what, counts] of [
    ["units between two steps", { units: 5 }],
    ["units over the last step", { units: 2 ** 33 }],
    ["output units between two steps", { outputUnits: 9 }],
  ] as const)
    await fails(what, "terms", "broken_terms", { says: { receipt: (says) => ({ ...says, ...counts }) } });
  await addTiers(add);
  await fails("an authorization that outlives its session", "terms", "broken_terms", {
    says: { authorization: (says) => ({ ...says, expiry: NOON_SECONDS + 3_601 }) },
  });
  await fails("an answer without a response", "terms", "broken_terms", { says: { receipt: without } });
  await add("a relayed receipt", { outcome: "verified" }, relayed({ name: "acme", model: digest }));
  await add(
    "a relayed receipt of an answer that its upstream failed to give",
    { outcome: "verified" },
    FAILED_RELAY,
    closed,
  );
  await add(
    "a streamed receipt with evidence",
    { outcome: "verified" },
    {
      says: { receipt: (says) => ({ ...says, stream: { frames: 3, head: digest }, evidence: digest, outputUnits: 8 }) },
    },
  );
  await fails("an answer of an upstream that the node says it gave itself", "terms", "broken_terms", {
    says: { ...relayed(undefined).says, receipt: (says) => ({ ...says, provenance: "executed" }) },
  });
  await fails("an answer of the node that it says an upstream gave", "terms", "broken_terms", {
    says: { receipt: (says) => ({ ...says, provenance: "relayed" }) },
  });
  await fails(
    "another upstream than the model is of",
    "terms",
    "broken_terms",
    relayed({ name: "other", model: digest }),
  );
  await fails("an upstream of an answer that the node gave itself", "terms", "broken_terms", {
    says: { receipt: (says) => ({ ...says, upstream: { name: "acme", model: digest } }) },
  });
  await fails(
    "a stream of an answer that failed",
    "terms",
    "broken_terms",
    {
      says: { receipt: (says) => ({ ...without(says), ...FREE, stream: { frames: 3, head: digest } }) },
    },
    closed,
  );
  await fails("another request in the opening", "request opening", "wrong_opening", {
    opening: { ...OPENING, request: { ...OPENING.request, bytes: OPENING.response.bytes } },
  });
  await fails("another salt in the opening", "response opening", "wrong_opening", {
    opening: { ...OPENING, response: { ...OPENING.response, salt: digest } },
  });
  await fails("another receipt's proof", "inclusion", "not_in_log", {}, (file) => {
    part(file, "receipt").proof = part(file, "grant").proof ?? "";
  });
  await fails("a grant that is logged after its receipt", "inclusion", "out_of_order", {
    order: ["gateway", "node", "publisher", "model", "receipt", "grant"],
  });
  await fails("another log's checkpoints", "checkpoint", "bad_checkpoint", { origin: "other.example" });
  await fails("a checkpoint without the log's signature", "checkpoint", "bad_checkpoint", {}, (file) => {
    part(file, "node").proof = (part(file, "node").proof ?? "").replace(/— \S+ \S+\n/u, "");
  });
  return vectors;
}

type Add = (desc: string, outcome: Outcome, changes?: VectorChanges, edit?: Edit) => Promise<void>;

/** The tiers that may be asked for, and what each of them wants of the request and of the model. */
async function addTiers(add: Add): Promise<void> {
  const good = { outcome: "verified" } as const;
  const broken = { outcome: "failed", failure: "broken_terms", check: "terms" } as const;
  const proved = { tier: "proved", request: { alg: "poseidon2", digest } } as const;
  const reexecuted = { tier: "reexecuted", openness: "lot" } as const;
  await add("the tier reexecuted of a model of the judge", good, asking(reexecuted));
  await add("the tier reexecuted of a model with a tolerance", good, asking(reexecuted, TOLERANT));
  await add("the tier reexecuted of an engine without a tolerance", broken, asking(reexecuted, { engine: "native" }));
  await add("the tier reexecuted of what no verifier may see", broken, asking({ tier: "reexecuted" }));
  await add("the tier proved of a model with a circuit", good, asking(proved, { circuit: CIRCUIT }), closed);
  await add("the tier proved, its opening unchecked", good, asking(proved, { circuit: CIRCUIT }));
  await add("the tier proved of a model without a circuit", broken, asking(proved), closed);
  await add("the tier proved of a request by sha256", broken, asking({ tier: "proved" }, { circuit: CIRCUIT }));
  const unproved = { request: proved.request };
  await add("the tier signed of a request by poseidon2", broken, asking(unproved, { circuit: CIRCUIT }), closed);
  await add("the tier attested", broken, asking({ tier: "attested" }));
}

const CIRCUIT = { program: digest, verificationKey: digest, weights: digest, agreeing: 9, measured: 10 };
const TOLERANT = { engine: "native", tolerance: { absolute: "0.001", relative: "0.001" } } as const;

/** An authorization that says `asked`, of a model of which the manifest says `model`. */
function asking(asked: Partial<AuthorizationPayload>, model: Partial<Manifest> = {}): Changes {
  const manifest = encodeManifest({ ...MANIFEST, ...model });
  const revision = sha256(manifest);
  return {
    says: {
      model: (says) => ({ ...says, manifest, revision }),
      authorization: (says) => ({ ...says, revision, ...asked }),
    },
  };
}

const FREE = { status: "failed", price: 0n } as const;
const FAILED: Changes = { says: { receipt: (says) => ({ ...without(says), ...FREE }) } };
const closed: Edit = (file) => {
  delete file.opening;
};

/** The manifest of a model that its upstream runs. */
const RELAYED = encodeManifest({ ...MANIFEST, engine: "relay", upstream: "acme" });

function relayed(upstream: ReceiptPayload["upstream"]) {
  const revision = sha256(RELAYED);
  return {
    says: {
      model: (says) => ({ ...says, manifest: RELAYED, revision }),
      authorization: (says) => ({ ...says, revision }),
      receipt: (says) => ({ ...says, provenance: "relayed", ...(upstream === undefined ? {} : { upstream }) }),
    },
  } satisfies Changes;
}

const FAILED_RELAY: Changes = {
  says: { ...relayed(undefined).says, receipt: (says) => ({ ...without(says), ...FREE, provenance: "relayed" }) },
};

function without<T extends { response?: unknown }>({ response: _, ...says }: T): Omit<T, "response"> {
  return says;
}

function edited(text: string, edit: Edit): string {
  const file: ReceiptJson = JSON.parse(text);
  edit(file);
  return JSON.stringify(file);
}

function part(file: ReceiptJson, name: string): { entry: string; proof?: string } {
  const found = file[name];
  if (found === undefined) throw new Error(`no ${name} in the file`);
  return found;
}
