/** Which tiers a receipt has come to by all that is in a log, and who says so (docs/spec/receipt.md, "By the log"). */
import { equal, hex } from "../bytes.ts";
import { BROKEN } from "../policy/facts.ts";
import { signedId } from "../sign/cose.ts";
import { type Ground, groundsOf, isRefuted, isSound, NO_VERDICTS, reliedBy } from "../usage/grade.ts";
import { awaitsLot } from "../usage/lots.ts";
import type { Dispute, Examination, Grade, Verification } from "../usage/proof-state.ts";
import { bytesOf, type FoldState, type Key, keyOf, timeOf, type UsedReceipt } from "../usage/state.ts";
import type { Check, Failure } from "../verdict.ts";
import type { History } from "./history.ts";

type Looked = {
  fold: FoldState;
  history: History;
  receipt: UsedReceipt;
  examination: Examination;
  timeSeconds: number | undefined;
  grounds: Ground[];
  isRefuted: boolean;
};

/**
 * Every tier with what it rests on, and between them each word that somebody said of the receipt. `fold` and `history` are of
 * the same entries, whose signatures hold.
 */
export function tierChecks(fold: FoldState, history: History): Check[] {
  const id = keyOf(history.receipt);
  const receipt = fold.receipts.get(id);
  if (receipt === undefined || receipt.index !== history.index)
    return [
      notChecked(
        "in the figures",
        `of ${fold.size} entries none is this receipt: fold the log that it is proved to be in`,
      ),
    ];
  const known = fold.proofs.examinations.get(id);
  const examination = known ?? { draw: undefined, checks: [], disputes: [], rulings: [], counted: NO_VERDICTS };
  const timeSeconds = timeOf(fold, receipt.index);
  const isRelied = reliedBy(fold);
  const looked: Looked = {
    ...{ fold, history, receipt, examination, timeSeconds },
    grounds: groundsOf(fold, receipt, known, timeSeconds, isRelied),
    isRefuted: isRefuted(examination, timeSeconds, isRelied),
  };
  const said = examination.checks.map((check) => [check, wordOf(looked, check)] as const);
  const linesOf = (isProof: boolean) =>
    said.filter(([{ method }]) => (method === "proof") === isProof).map(([, line]) => line);
  return [
    figuresCheck(looked),
    signedCheck(looked),
    attestedCheck(looked),
    reexecutedCheck(looked),
    ...linesOf(false),
    ...examination.disputes.map((dispute) => disputeLine(looked, dispute)),
    provedCheck(looked),
    ...linesOf(true),
  ];
}

function figuresCheck({ receipt: { exclusion } }: Looked): Check {
  const name = "in the figures";
  if (exclusion === undefined) return passed(name, "it counts as a valid inference");
  if (BROKEN.has(exclusion)) return failed(name, "broken_terms", `the log shows that it does not hold: ${exclusion}`);
  return notChecked(name, `it does not count as a valid inference: ${exclusion}`);
}

function signedCheck({ fold, grounds }: Looked): Check {
  return grounds.some(({ grade }) => grade === "signed")
    ? passed("signed", `by a node and a gateway whose keys nothing revokes in ${fold.size} entries`)
    : failed("signed", "revoked", "the key of its node, or of its gateway, was revoked for receipts of its time");
}

function attestedCheck(looked: Looked): Check {
  const { fold, history, receipt, timeSeconds = 0 } = looked;
  const name = "attested";
  const vouching = receipt.attested ?? [];
  const holds = vouching.find(({ technology, root, measurement }) =>
    looked.grounds.some(
      ({ grade, roots }) =>
        grade === "attested" &&
        roots.some((one) => one.kind === "vendor" && one.root === root) &&
        roots.some((one) => one.kind === "release" && one.root === measurement) &&
        history.appraisals.has(technology),
    ),
  );
  if (holds !== undefined) {
    const { technology, root, verifier, publishers, expiry } = holds;
    const logged = history.appraisals.get(technology);
    const who = `appraised by ${nameOf(fold, verifier)} as entry ${logged?.index}`;
    const approved = publishers.map((publisher) => nameOf(fold, publisher)).join(", ");
    return passed(
      name,
      `${technology} evidence of the node's key, vendor root ${shortOf(root)}, ${who}, good until ${isoTime(expiry)}; what it measured is approved by ${approved}`,
    );
  }
  if (looked.isRefuted) return notChecked(name, "hardware vouches for no answer that was found wrong");
  if (vouching.length > 0)
    return notChecked(
      name,
      vouching.every(({ expiry }) => expiry < timeSeconds)
        ? "the appraisal of its node's evidence had run out by the receipt's time"
        : `what vouched for its node was revoked: ${vouching.map(({ root }) => `vendor root ${shortOf(root)}`).join(", ")}, its release, or who says so`,
    );
  return notChecked(name, whyUnattested(history));
}

/** Why nothing that counts vouched for the node. */
function whyUnattested({ appraisals }: History): string {
  const counted = [...appraisals.values()].filter(({ entry }) => entry.says.technology !== "simulated");
  const last = counted.at(-1);
  if (last !== undefined) {
    const { technology, outcome } = last.entry.says;
    return outcome === "failed"
      ? `the last appraisal of the node's ${technology} evidence failed (entry ${last.index})`
      : `no publisher approves what the node's ${technology} evidence measured (entry ${last.index})`;
  }
  const simulated = appraisals.get("simulated");
  return simulated === undefined
    ? "nobody had appraised evidence of the node's key before this receipt"
    : `simulated: its root ${hex(simulated.entry.says.root).slice(0, 16)}… is a key that its operator made up (entry ${simulated.index}), and it never counts`;
}

function reexecutedCheck(looked: Looked): Check {
  const { fold, receipt, examination, history } = looked;
  const name = "reexecuted";
  const { draw, checks } = examination;
  if (looked.isRefuted) return failed(name, "refuted", "the model gave another answer when it was run again");
  if (hasGround(looked, "reexecuted"))
    return passed(name, "it was run again, and the answer was found to be the model's");
  if (!receipt.openable)
    return notChecked(name, "no lot can draw it: its requester opens it to no verifier, or no node here ran it");
  if (draw === undefined) {
    if (awaitsLot(fold, keyOf(history.receipt))) return notChecked(name, "the lot of its epoch is not drawn yet");
    if (checks.length === 0) return notChecked(name, "no lot drew it, and nobody asked for a check of it");
  } else if (!checks.some(({ drawn }) => drawn)) {
    const who = `the lot of epoch entry ${draw.epoch} drew it for ${nameOf(fold, draw.verifier)}, who`;
    return notChecked(
      name,
      `${who} ${draw.omitted ? "never said what came of it" : "has not said yet what came of it"}`,
    );
  }
  return notChecked(name, "no check of it has passed by an engine that is relied on");
}

function provedCheck(looked: Looked): Check {
  const name = "proved";
  const proofs = looked.examination.checks.filter(({ method }) => method === "proof");
  if (hasGround(looked, "proved")) return passed(name, "a proof of the answer was checked");
  if (proofs.some(({ outcome }) => outcome === "failed"))
    return failed(name, "bad_proof", "a verifier refused the proof that the node gave");
  return notChecked(
    name,
    proofs.length === 0 ? "no proof of it was checked" : "no proof of it passed that is relied on",
  );
}

const OUTCOMES_IN_WORDS = {
  reexecution: { passed: "ran it again, with the same answer", failed: "ran it again, with another answer" },
  forcing: { passed: "forced its tokens, which agree", failed: "forced its tokens, which do not agree" },
  proof: { passed: "verified its proof", failed: "refused its proof" },
} as const;

/** What one verifier said. */
function wordOf(looked: Looked, check: Verification): Check {
  const { fold, history, examination, timeSeconds } = looked;
  const { method, outcome, drawn, verifier } = check;
  const alike = history.verifications.filter(
    ({ entry: { says, signed } }) =>
      keyOf(signed.keyId) === verifier && says.method === method && says.outcome === outcome,
  );
  const isOfLot = (of: number | undefined) => of !== undefined && of === examination.draw?.epoch;
  const logged = alike.find(({ entry }) => isOfLot(entry.says.epoch) === drawn) ?? alike[0];
  const { profile, epoch } = logged?.entry.says ?? {};
  const why = method === "proof" ? "" : drawn ? `, drawn by the lot of epoch entry ${epoch},` : ", asked to,";
  const did =
    outcome === "unopened"
      ? "was not given the opening"
      : outcome === "undecided"
        ? "could not decide"
        : OUTCOMES_IN_WORDS[method][outcome];
  const where =
    profile === undefined
      ? ""
      : `, by ${profile.runtime} (${profile.exactness}, engine ${hex(profile.binary).slice(0, 16)}…)`;
  const detail = `${nameOf(fold, verifier)}${why} ${did}${where} (entry ${logged?.index})`;
  const name = method === "proof" ? "proof check" : "check";
  if (!isSound(check, timeSeconds, reliedBy(fold)))
    return notChecked(name, `${detail}; what that rests on was revoked`);
  if (outcome === "passed") return passed(name, detail);
  if (outcome !== "failed") return notChecked(name, detail);
  if (method === "proof") return failed(name, "bad_proof", detail);
  return looked.isRefuted ? failed(name, "refuted", detail) : notChecked(name, `${detail}; a referee found otherwise`);
}

function disputeLine({ fold, history, timeSeconds }: Looked, { id, disputer, outcome, referee }: Dispute): Check {
  const name = "dispute";
  const opened = history.disputes.find(({ entry }) => keyOf(signedId(entry.signed)) === id);
  const by = `disputed by ${nameOf(fold, disputer)} (entry ${opened?.index})`;
  if (outcome === undefined || referee === undefined) return notChecked(name, `${by}; no referee has decided it yet`);
  const resolved = history.resolutions.find(
    ({ entry }) =>
      keyOf(entry.says.dispute) === id && entry.says.outcome === outcome && equal(entry.signed.keyId, bytesOf(referee)),
  );
  const detail = `${by}; ${outcome} by ${nameOf(fold, referee)} (entry ${resolved?.index})`;
  if (!reliedBy(fold)("key", referee, timeSeconds)) return notChecked(name, `${detail}, whose key was revoked`);
  if (outcome === "upheld") return failed(name, "refuted", detail);
  return outcome === "rejected" ? passed(name, detail) : notChecked(name, detail);
}

function hasGround({ grounds }: Looked, wanted: Grade): boolean {
  return grounds.some(({ grade }) => grade === wanted);
}

function nameOf({ keys }: FoldState, key: Key): string {
  const known = keys.get(key);
  return known === undefined ? `the key ${shortOf(key)}` : `the ${known.role} "${known.name}"`;
}

const shortOf = (key: Key) => `${hex(bytesOf(key)).slice(0, 16)}…`;
const isoTime = (seconds: number) => new Date(seconds * 1_000).toISOString();

function passed(name: string, detail: string): Check {
  return { name, state: "passed", detail };
}

function notChecked(name: string, detail: string): Check {
  return { name, state: "not_checked", detail };
}

function failed(name: string, failure: Failure, detail: string): Check {
  return { name, state: "failed", failure, detail };
}
