/** `tally verify`: every check of a receipt, by its file, by the log and by its proof, as far as they are at hand. */
import {
  type AcceptancePolicy,
  appraiseAgain,
  type Check,
  createHistory,
  type FoldState,
  factsIn,
  type History,
  hex,
  keyOf,
  Malformed,
  noteInHistory,
  parseCheckpoint,
  parseReceiptFile,
  satisfies,
  tierChecks,
  type Verdict,
  type VerifiedReceipt,
  verifyReceiptFile,
} from "@tallystick/protocol";
import { RefusedError, UnreachableError } from "../errors.ts";
import { createHttp } from "../http.ts";
import { readAcceptance } from "./accept.ts";
import { auditOpened, type Shown } from "./audit.ts";
import type { Context } from "./context.ts";
import { type OpenedLog, openLog } from "./logs.ts";
import { type NetworkOptions, trustOf } from "./networks.ts";
import { type Proof, proofOf } from "./proofs.ts";
import { type FoundReceipt, findReceipt } from "./receipts.ts";
import type { Exit } from "./terminal.ts";
import { exitOf, verdictJson, verdictText } from "./verdict-text.ts";

export type VerifyArguments = NetworkOptions & {
  what: string;
  /** The log to look in, however long it is. */
  log?: string;
  /** An acceptance policy that the receipt is held to. */
  accept?: string;
  /** A file with the evidence of its proof. */
  proof?: string;
  json: boolean;
};

export async function verify(args: VerifyArguments, context: Context): Promise<Exit> {
  const { found, verdict, limits } = await examine(args, context);
  const { logKey } = found;
  context.terminal.out(args.json ? `${verdictJson(verdict, logKey, limits)}\n` : verdictText(verdict, logKey, limits));
  return exitOf(verdict);
}

export type Examined = Looked & { found: FoundReceipt };

/** The verdict over a receipt by all that is at hand: its file, the log, its proof and a policy. */
export async function examine(args: Omit<VerifyArguments, "json">, context: Context): Promise<Examined> {
  const { what, log: _log, proof: _proof, accept, ...options } = args;
  const policy = accept === undefined ? undefined : await readAcceptance(accept);
  const found = await findReceipt(what, options, context);
  const { file, logKey, note } = found;
  const trust = logKey === undefined ? undefined : await trustOf(logKey, context.policy);
  const verdict = await verifyReceiptFile(file, trust);
  if (note !== undefined) context.terminal.err(`${note}\n`);
  if (verdict.outcome !== "verified") return { found, verdict };
  return { found, ...(await lookFurther(verdict, found, args, policy, context)) };
}

type Verified = Extract<Verdict<VerifiedReceipt>, { outcome: "verified" }>;
type Looked = { verdict: Verdict<VerifiedReceipt>; limits?: readonly string[] };

/** What is no longer open about a receipt whose file holds, in the place of what the file cannot show. */
async function lookFurther(
  { value, checks }: Verified,
  found: FoundReceipt,
  { log, proof, ...args }: Omit<VerifyArguments, "json">,
  policy: AcceptancePolicy | undefined,
  context: Context,
): Promise<Looked> {
  const proved: Proof = await proofOf(
    value,
    parseReceiptFile(found.file).opening,
    { ...args, ...found, proof },
    context,
  );
  const isProved = proved.checks.length > 0 && proved.checks.every(({ state }) => state === "passed");
  const byLog = await logChecks(value, found, log, args, { policy, isProved }, context);
  const names = new Set(byLog.map(({ name }) => name));
  // What the file alone leaves open of the execution is what these tiers show.
  if (byLog.some(({ name, state }) => (name === "reexecuted" || name === "proved") && state === "passed"))
    names.add("execution");
  const all = [...checks.filter(({ name }) => !names.has(name)), ...byLog, ...proved.checks];
  const { limits } = proved;
  return { verdict: verdictOver(all, value), ...(limits === undefined ? {} : { limits }) };
}

function verdictOver(checks: Check[], value: VerifiedReceipt): Verdict<VerifiedReceipt> {
  const failed = checks.find((check) => check.state === "failed");
  if (failed !== undefined) return { outcome: "failed", failure: failed.failure, checks };
  // Who gives a policy waits for it: what is not shown to meet it is not accepted.
  const isOpen = checks.some(({ name, state }) => state === "not_checked" && name.startsWith("policy"));
  return isOpen ? { outcome: "inconclusive", checks } : { outcome: "verified", value, checks };
}

/** A log that is folded without being named: some seconds of signatures. */
const FOLDED_MOST = 20_000;

async function logChecks(
  receipt: VerifiedReceipt,
  { url, network }: FoundReceipt,
  log: string | undefined,
  options: NetworkOptions & { what: string },
  { policy, isProved }: { policy: AcceptancePolicy | undefined; isProved: boolean },
  context: Context,
): Promise<Check[]> {
  const none = (why: string) => unlooked(why, policy).map((check) => (isProved ? provedHere(check) : check));
  if (log === undefined && url === undefined)
    return none(
      "the log is not at hand: name it behind the receipt, by its URL or the folder of a copy, or give --network",
    );
  const place = log === undefined ? { ...options, ...(network === undefined ? {} : { network }) } : { ...options, log };
  const opened = await openLog(place, context);
  const size = sizeOf(await opened.source.checkpoint());
  if (log === undefined && size > FOLDED_MOST)
    return none(`the log has ${size} entries: tally verify ${options.what} ${url} goes through all of them`);
  const folded = await foldLog(receipt, opened, context);
  if (typeof folded === "string") return none(folded);
  const { fold, history } = folded;
  const tiers = tierChecks(fold, history);
  const at = tiers.findIndex(({ name }) => name === "attested") + 1;
  return [
    ...tiers.slice(0, at),
    ...(await hardwareChecks(fold, history, opened, context)),
    ...tiers.slice(at),
    ...(policy === undefined ? [] : acceptanceChecks(policy, fold, receipt.id)),
  ];
}

/** What a log that holds folds to, with what it says of `receipt`; else why it cannot be believed. */
export async function foldLog(
  { id, index, nodeKey: node, grant }: VerifiedReceipt,
  opened: OpenedLog,
  context: Context,
): Promise<{ fold: FoldState; history: History } | string> {
  const create = () => createHistory({ receipt: id, index, node });
  let history = create();
  const shown: Shown = {
    onEntry: (at, entry) => noteInHistory(history, at, entry),
    onRestart: () => {
      history = create();
    },
  };
  const { audit, fold } = await auditOpened({ json: false }, opened, context, shown);
  if (audit.origin !== grant.origin) return `the receipt is in another log than ${audit.origin}`;
  if (audit.findings.length > 0) return "the log that is at hand does not hold: tally audit says where";
  return { fold, history };
}

const TIERS_BY_LOG = ["attested", "reexecuted", "proved"];

/** Why nothing that the log shows was looked at. */
function unlooked(detail: string, policy: AcceptancePolicy | undefined): Check[] {
  const names = [...TIERS_BY_LOG, ...(policy === undefined ? [] : ["policy"])];
  return names.map((name) => ({ name, state: "not_checked", detail }));
}

/** What a proof that was verified here shows without the log. */
function provedHere(check: Check): Check {
  const detail = "its proof was verified here; that nothing it rests on was revoked is for the log to show";
  return check.name === "proved" ? { name: "proved", state: "passed", detail } : check;
}

function acceptanceChecks(policy: AcceptancePolicy, fold: FoldState, id: Uint8Array): Check[] {
  const facts = factsIn(fold, keyOf(id));
  return facts === undefined
    ? unlooked("the log at hand lacks the receipt", policy).slice(-1)
    : satisfies(policy, facts);
}

/** Each piece of hardware evidence that vouches for the node, appraised again. */
async function hardwareChecks(
  fold: FoldState,
  { receipt, appraisals }: History,
  { url }: OpenedLog,
  { edges }: Context,
): Promise<Check[]> {
  const vouching = fold.receipts.get(keyOf(receipt))?.attested ?? [];
  const checks = vouching.map(async ({ technology }): Promise<Check[]> => {
    const says = appraisals.get(technology)?.entry.says;
    if (says === undefined) return [];
    const digest = hex(says.evidence);
    const absent = (why: string): Check[] => [
      { name: "hardware evidence", state: "not_checked", detail: `the evidence ${digest} is not at hand: ${why}` },
    ];
    if (url === undefined) return absent("a copy of a log has none, its network gives it");
    try {
      return [await appraiseAgain(await createHttp(url, edges).bytes(`/v1/attestations/${digest}`), says)];
    } catch (error) {
      if (error instanceof RefusedError || error instanceof UnreachableError) return absent(error.message);
      throw error;
    }
  });
  return (await Promise.all(checks)).flat();
}

/** The size that a checkpoint says; 0 of what is none, which the audit then says. */
function sizeOf(checkpoint: Uint8Array): number {
  try {
    return parseCheckpoint(checkpoint).size;
  } catch (error) {
    if (error instanceof Malformed) return 0;
    throw error;
  }
}
