/** Verifying a receipt: from the bytes of a file and whom to trust to a verdict (docs/spec/receipt.md, "Verification"). */
import { verifyEs256 } from "#platform";
import { equal, hex } from "../bytes.ts";
import { commit } from "../call/call.ts";
import { Malformed } from "../cbor/bytes.ts";
import { type Authorization, type EntryOf, parseAuthorization, parseEntry } from "../entry/entry.ts";
import { type EntryKind, possessionMessage, type Role } from "../entry/payload.ts";
import type { Checkpoint } from "../log/checkpoint.ts";
import { cosignatureTimeBy } from "../log/note.ts";
import { proves } from "../log/proof.ts";
import { followHandovers, type LogTrust, verifyCheckpoint } from "../log/trust.ts";
import { parseManifest, revisionOf } from "../model/codec.ts";
import type { Manifest } from "../model/manifest.ts";
import { keyId, type Signed, signedId, verifySigned } from "../sign/cose.ts";
import type { Check, Failure, Verdict } from "../verdict.ts";
import { type LoggedEntry, PARTS, type Part, parseReceiptFile, type ReceiptFile } from "./file.ts";
import { brokenTerm } from "./terms.ts";

/** What a verified receipt says. */
export type VerifiedReceipt = {
  id: Uint8Array;
  index: number;
  receipt: EntryOf<"receipt">["says"];
  authorization: Authorization["says"];
  grant: EntryOf<"grant">["says"];
  manifest: Manifest;
  nodeName: string;
  /** The id of the key that signed it. */
  nodeKey: Uint8Array;
  /** When the log's cosigners saw a tree that holds the receipt, Unix seconds. */
  seenSeconds: number;
};

/** The parts of a file, parsed. */
type Parts = {
  receipt: EntryOf<"receipt">;
  grant: EntryOf<"grant">;
  gateway: EntryOf<"key">;
  node: EntryOf<"key">;
  model: EntryOf<"model">;
  publisher: EntryOf<"key">;
};
const KIND_OF = {
  receipt: "receipt",
  grant: "grant",
  gateway: "key",
  node: "key",
  model: "model",
  publisher: "key",
} as const satisfies Record<Part, EntryKind>;

type Case = {
  file: ReceiptFile;
  parts: Parts;
  authorization: Authorization;
  id: Uint8Array;
  /** Of the model entry, where it publishes one. */
  manifest: Manifest | undefined;
};

/** A step of verification: what it established, what failed, or why it was not done. */
type Finding = { passed: string } | { failure: Failure; detail: string } | { notChecked: string };

/**
 * Verifies the bytes of a receipt file. `trust` is the caller's own knowledge of the log, never the file's;
 * without it a receipt is at best inconclusive. Never throws on bad bytes.
 */
export async function verifyReceiptFile(
  bytes: Uint8Array,
  trust: LogTrust | undefined,
): Promise<Verdict<VerifiedReceipt>> {
  let found: Case;
  try {
    found = openCase(bytes);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return {
      outcome: "failed",
      failure: "malformed",
      checks: [checkOf("form", { failure: "malformed", detail: error.message })],
    };
  }
  const checkpoints = await checkCheckpoints(found, trust && (await followHandovers(trust, found.file.handovers)));
  const essential: [string, Finding][] = [
    ["form", { passed: "every part is well-formed and in its one spelling" }],
    ["id", checkId(found)],
    ["requester signature", await checkRequester(found)],
    ["node signature", await checkSigner(found, "receipt", "node", "node")],
    ["grant", await checkGrant(found)],
    ["model", await checkModel(found)],
    ["terms", checkTerms(found)],
    ["inclusion", checkInclusion(found.file)],
    ["checkpoint", checkpoints.finding],
  ];
  const further: [string, Finding][] = [
    ["request opening", checkOpening(found, "request")],
    ["response opening", checkOpening(found, "response")],
    ["witnesses", checkpoints.witnesses],
    ["execution", { notChecked: notExecuted(found) }],
    ...TIERS_AFTER.map((tier): [string, Finding] => [tier, { notChecked: notReached(found, tier) }]),
  ];
  return conclude(found, essential, further, checkpoints.seenSeconds);
}

function conclude(
  found: Case,
  essential: [string, Finding][],
  further: [string, Finding][],
  seenSeconds: number | undefined,
): Verdict<VerifiedReceipt> {
  const checks = [...essential, ...further].map(([name, finding]) => checkOf(name, finding));
  const failed = checks.find((check) => check.state === "failed");
  if (failed !== undefined) return { outcome: "failed", failure: failed.failure, checks };
  const { parts, authorization, id, manifest } = found;
  const index = found.file.parts.receipt.proof?.index;
  const isOpen = essential.some(([, finding]) => "notChecked" in finding);
  if (isOpen || index === undefined || seenSeconds === undefined || manifest === undefined)
    return { outcome: "inconclusive", checks };
  const says = { receipt: parts.receipt.says, authorization: authorization.says, grant: parts.grant.says };
  return {
    outcome: "verified",
    value: {
      id,
      index,
      ...says,
      manifest,
      nodeName: parts.node.says.name,
      nodeKey: parts.receipt.signed.keyId,
      seenSeconds,
    },
    checks,
  };
}

function checkOf(name: string, finding: Finding): Check {
  if ("passed" in finding) return { name, state: "passed", detail: finding.passed };
  if ("notChecked" in finding) return { name, state: "not_checked", detail: finding.notChecked };
  return { name, state: "failed", failure: finding.failure, detail: finding.detail };
}

function openCase(fileBytes: Uint8Array): Case {
  const file = parseReceiptFile(fileBytes);
  const parts = Object.fromEntries(PARTS.map((part) => [part, parsePart(file.parts[part], part)])) as Parts;
  const authorization = parseAuthorization(parts.receipt.says.authorization);
  const { action, manifest: bytes = new Uint8Array(0) } = parts.model.says;
  const manifest = action === "publish" ? parseManifest(bytes) : undefined;
  return { file, parts, authorization, id: signedId(authorization.signed), manifest };
}

function parsePart({ bytes }: LoggedEntry, part: Part): EntryOf<EntryKind> {
  const entry = parseEntry(bytes);
  if (entry.kind !== KIND_OF[part]) throw new Malformed(`has an entry of kind ${entry.kind} as its ${part}`);
  return entry;
}

function checkId({ file, id }: Case): Finding {
  return equal(file.id, id)
    ? { passed: `SHA-256 of what the requester signed is ${hex(id)}` }
    : { failure: "wrong_id", detail: `the file is named ${hex(file.id)}, but what the requester signed is ${hex(id)}` };
}

async function checkRequester({ authorization, parts }: Case): Promise<Finding> {
  if (!equal(authorization.says.session, signedId(parts.grant.signed)))
    return { failure: "not_granted", detail: "the authorization names another session than the grant in this file" };
  return (await verifySigned(authorization.signed, parts.grant.says.sessionKey))
    ? { passed: `the session key authorised this request (custody: ${parts.grant.says.custody})` }
    : { failure: "bad_signature", detail: "the authorization is not signed by the session key of its grant" };
}

/** That `part` is signed by the key that `by` enrols for `role`, and that this enrolment is signed by the key itself. */
async function checkSigner(
  { parts }: Case,
  part: "receipt" | "grant" | "model",
  by: "node" | "gateway" | "publisher",
  role: Role,
): Promise<Finding> {
  const { says, signed } = parts[by];
  if (says.role !== role || says.action !== "enrol")
    return { failure: "unknown_key", detail: `the ${by} entry does not enrol a ${role}` };
  if (!(await verifyRecurring(signed, says.spki)))
    return { failure: "bad_signature", detail: `the ${by} key's enrolment is not signed by that key` };
  const verify = part === "receipt" ? verifySigned : verifyRecurring;
  return (await verify(parts[part].signed, says.spki))
    ? { passed: `signed by the ${role} "${says.name}"` }
    : { failure: "bad_signature", detail: `the ${part} entry is not signed by the ${role} key in this file` };
}

/** What is remembered of signatures that held. */
const RECURRING_MOST = 1_024;
const recurring = new Set<string>();

/** `verifySigned` of what is the same in receipt after receipt: enrolments, grants, models. Once it held, it holds. */
async function verifyRecurring(signed: Signed, spki: Uint8Array): Promise<boolean> {
  const name = `${hex(keyId(spki))} ${hex(signed.keyId)} ${hex(signedId(signed))} ${hex(signed.signature)}`;
  if (recurring.has(name)) return true;
  if (!(await verifySigned(signed, spki))) return false;
  if (recurring.size >= RECURRING_MOST) recurring.delete(recurring.keys().next().value ?? "");
  recurring.add(name);
  return true;
}

async function checkGrant(found: Case): Promise<Finding> {
  const signer = await checkSigner(found, "grant", "gateway", "gateway");
  if (!("passed" in signer)) return signer;
  const { says, signed } = found.parts.grant;
  if (!equal(says.gateway, signed.keyId))
    return { failure: "not_granted", detail: "the grant names another gateway than signed it" };
  return (await verifyEs256(says.sessionKey, possessionMessage(says), says.possession))
    ? { passed: `the session was granted and its key proved, ${signer.passed}` }
    : { failure: "bad_signature", detail: "the session key did not sign that it takes this grant" };
}

async function checkModel(found: Case): Promise<Finding> {
  const signer = await checkSigner(found, "model", "publisher", "publisher");
  if (!("passed" in signer)) return signer;
  const { manifest: bytes, revision } = found.parts.model.says;
  const { manifest } = found;
  const asked = found.authorization.says.revision;
  if (manifest === undefined || bytes === undefined || !equal(revisionOf(bytes), revision))
    return { failure: "not_published", detail: "the model entry does not publish the manifest whose digest it names" };
  if (!equal(revision, asked))
    return {
      failure: "not_published",
      detail: `the request is for revision ${hex(asked)}, the model entry is for ${hex(revision)}`,
    };
  const { name, version } = manifest;
  return { passed: `${name} ${version}, revision ${hex(revision).slice(0, 16)}…, ${signer.passed}` };
}

/** What was answered is within what was asked. */
function checkTerms({ parts, authorization, manifest }: Case): Finding {
  const { says } = parts.receipt;
  const detail = brokenTerm(says, authorization.says, parts.grant.says, manifest);
  if (detail !== undefined) return { failure: "broken_terms", detail };
  const { maxPrice } = authorization.says;
  return {
    passed: `status ${says.status}, price ${says.price} of at most ${maxPrice}, granted for ${parts.grant.says.origin}`,
  };
}

function checkOpening({ file, parts, authorization }: Case, side: "request" | "response"): Finding {
  const opening = file.opening?.[side];
  const commitment = side === "request" ? authorization.says.request : parts.receipt.says.response;
  if (opening === undefined) return { notChecked: `the ${side} is not in this file; its commitment stands` };
  if (commitment === undefined)
    return { failure: "wrong_opening", detail: `the file opens a ${side} that the receipt does not commit to` };
  if (opening.salt.length !== 32)
    return { failure: "wrong_opening", detail: `the ${side} is not opened with a salt of 32 bytes` };
  if (commitment.alg === "poseidon2")
    return side === "request"
      ? {
          notChecked:
            "the request is committed to as its circuit takes it: whoever has circuit.json and a proof checks it",
        }
      : { failure: "wrong_opening", detail: "a response is committed to by sha256 alone" };
  return equal(commit(side, opening.salt, opening.bytes).digest, commitment.digest)
    ? { passed: `the ${side} in this file is the one committed to` }
    : { failure: "wrong_opening", detail: `the ${side} in this file is not the one committed to` };
}

/** Why nothing is known of what ran. */
function notExecuted({ parts, authorization }: Case): string {
  const { provenance, upstream } = parts.receipt.says;
  const tier = `tier "${authorization.says.tier}": that the node told the truth is not shown`;
  if (provenance === "executed") return tier;
  return `${tier}; it relayed the answer of ${upstream ? `"${upstream.name}"` : "an upstream"}, and what ran there is that one's word alone`;
}

/** The tiers that an answer comes to after it: no file of a receipt can show them. */
const TIERS_AFTER = ["attested", "reexecuted", "proved"] as const;

function notReached({ parts, authorization }: Case, tier: (typeof TIERS_AFTER)[number]): string {
  const { openness, request } = authorization.says;
  if (tier === "reexecuted" && parts.receipt.says.provenance === "relayed")
    return "a relayed answer is run again by nobody";
  if (tier === "reexecuted" && openness === "none") return "its requester opens it to no verifier: no lot draws it";
  if (tier === "proved" && request.alg !== "poseidon2")
    return "the request is not committed to as a circuit takes it: nothing can be proved of it";
  return "that is in the log, not in this file";
}

/** A part whose proof is still to come: no checkpoint covered it when the file was written. */
function unproved({ parts }: ReceiptFile): string | undefined {
  const without = PARTS.filter((part) => parts[part].proof === undefined);
  return without.length > 0 ? `no checkpoint covers ${without.join(", ")} yet: fetch the receipt again` : undefined;
}

/** What must be in the log before what. */
const BEFORE: [Part, Part][] = [
  ["gateway", "grant"],
  ["grant", "receipt"],
  ["node", "receipt"],
  ["publisher", "model"],
  ["model", "receipt"],
];

/** That every part is where its proof says, each before what rests on it. */
function checkInclusion(file: ReceiptFile): Finding {
  const astray = PARTS.find((part) => {
    const { proof, bytes } = file.parts[part];
    return proof !== undefined && !proves(proof, bytes);
  });
  if (astray !== undefined) return { failure: "not_in_log", detail: `the ${astray} entry is not where its proof says` };
  const indexOf = (part: Part) => file.parts[part].proof?.index ?? Number.NaN; // NaN is neither before nor after.
  const late = BEFORE.find(([first, second]) => indexOf(first) >= indexOf(second));
  if (late !== undefined)
    return {
      failure: "out_of_order",
      detail: `the ${late[0]} entry comes after the ${late[1]} entry that rests on it`,
    };
  const lacking = unproved(file);
  if (lacking !== undefined) return { notChecked: lacking };
  return { passed: `entry ${indexOf("receipt")} of the log, after all that it rests on` };
}

type CheckpointFindings = { finding: Finding; witnesses: Finding; seenSeconds?: number };

const NO_WITNESS: Finding = {
  notChecked: "no policy says which witnesses to ask for: the time is the log operator's own word",
};

/** That every proof leads to a checkpoint which a trusted key signed, who else cosigned, and when the receipt's was seen. */
async function checkCheckpoints({ file, parts }: Case, trust: LogTrust | undefined): Promise<CheckpointFindings> {
  const open = (notChecked: string) => ({ finding: { notChecked }, witnesses: NO_WITNESS });
  if (trust === undefined) return open("no trusted key of this log: give its vkey");
  const refused = (detail: string) => ({
    finding: { failure: "bad_checkpoint" as const, detail },
    witnesses: NO_WITNESS,
  });
  const { origin } = parts.grant.says;
  if (origin !== trust.origin) return refused(`the session was granted for the log ${origin}`);
  let seenSeconds = 0;
  const known = new Map<Checkpoint, Awaited<ReturnType<typeof verifyCheckpoint>>>();
  for (const part of PARTS) {
    const checkpoint = file.parts[part].proof?.checkpoint;
    if (checkpoint === undefined) continue;
    const verified = known.get(checkpoint) ?? (await verifyCheckpoint(checkpoint, trust));
    known.set(checkpoint, verified);
    // The log serves what its witnesses have not seen yet; that is no fault, and no proof either.
    if (!verified.ok && verified.failure === "not_cosigned" && trust.policy !== undefined)
      return open("its witnesses have not cosigned this checkpoint: fetch the receipt again");
    if (!verified.ok) return refused(`the checkpoint over the ${part} entry: ${verified.failure}`);
    if (part === "receipt") seenSeconds = verified.timeSeconds;
  }
  const lacking = unproved(file);
  if (lacking !== undefined) return open(lacking);
  const size = file.parts.receipt.proof?.checkpoint.size ?? 0;
  const seen = new Date(seenSeconds * 1000).toISOString();
  const finding = { passed: `signed by ${trust.origin} at size ${size}, ${seen}` };
  return { finding, witnesses: checkWitnesses(file, trust), seenSeconds };
}

/** Which of the policy's witnesses cosigned the receipt's checkpoint, whose signatures hold. */
function checkWitnesses(file: ReceiptFile, { policy }: LogTrust): Finding {
  const note = file.parts.receipt.proof?.checkpoint.note;
  if (policy === undefined || policy.quorum.kind === "none" || note === undefined) return NO_WITNESS;
  const names = policy.witnesses.filter(({ key }) => cosignatureTimeBy(note, key) !== undefined);
  return { passed: `cosigned by ${names.map(({ key }) => key.name).join(", ")}, as the policy asks` };
}
