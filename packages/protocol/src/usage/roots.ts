/** The register of what trust rests on, and what a revocation would take (docs/spec/usage.md, "Roots of trust"). */
import type { RootKind } from "../entry/verification.ts";
import { hexOf } from "./counts.ts";
import { gradeOf, groundsOf, type IsRelied, reliedBy } from "./grade.ts";
import { type Grade, rootName } from "./proof-state.ts";
import { type FoldState, type Key, keyOf, timeOf, type UsedReceipt } from "./state.ts";

/** A root in use, and how many valid receipts rest on it today: it is among what a tier that they have is for. */
export type RootInUse = {
  kind: RootKind;
  root: string;
  /** A key's name; of anything else what it is of. */
  name: string;
  receipts: number;
  /** Of all valid receipts: in decimal, six digits. */
  share: string;
  /** From when on it is revoked, Unix seconds; null where it is not. */
  revokedSince: number | null;
};

/** A key of the log itself or of a witness: every receipt rests on these, and they change by handover and by policy. */
export type LogKey = { kind: "log" | "witness"; name: string };

/** What every receipt that is counted rests on. */
export type Register = { validReceipts: number; logKeys: LogKey[]; roots: RootInUse[] };

const KIND_NAMES: Record<Exclude<RootKind, "key">, string> = {
  vendor: "vendor's root certificate",
  ceremony: "structured reference string",
  judge: "engine of a verifier",
  release: "measurement of a release",
};

/** Every root in use, the one that most rests on first. */
export function rootsOf(fold: FoldState): Register {
  const isRelied = reliedBy(fold);
  const counts = new Map<string, { kind: RootKind; root: Key; receipts: number }>();
  const rootOf = (kind: RootKind, root: Key) => {
    const name = rootName(kind, root);
    const known = counts.get(name) ?? { kind, root, receipts: 0 };
    counts.set(name, known);
    return known;
  };
  let validReceipts = 0;
  for (const [id, receipt] of fold.receipts) {
    if (receipt.exclusion !== undefined) continue;
    validReceipts++;
    const grounds = groundsOf(fold, receipt, fold.proofs.examinations.get(id), timeOf(fold, receipt.index), isRelied);
    const used = new Set(grounds.flatMap(({ roots }) => roots.map(({ kind, root }) => rootOf(kind, root))));
    for (const root of used) root.receipts++;
  }
  for (const name of fold.trust.revoked.keys()) rootOf(...partsOf(name));
  const roots = [...counts.values()].map(({ kind, root, receipts }) => ({
    kind,
    root: hexOf(root),
    name: kind === "key" ? (fold.keys.get(root)?.name ?? "") : KIND_NAMES[kind],
    receipts,
    share: shareOf(receipts, validReceipts),
    revokedSince: fold.trust.revoked.get(rootName(kind, root)) ?? null,
  }));
  roots.sort((a, b) => b.receipts - a.receipts || (`${a.kind} ${a.root}` < `${b.kind} ${b.root}` ? -1 : 1));
  return { validReceipts, logKeys: logKeysOf(fold), roots };
}

function partsOf(name: string): [RootKind, Key] {
  const space = name.indexOf(" ");
  return [name.slice(0, space) as RootKind, name.slice(space + 1)]; // As rootName joined them.
}

function logKeysOf({ policy }: FoldState): LogKey[] {
  const logs = (policy?.logs ?? []).map(({ key }) => ({ kind: "log" as const, name: key.name }));
  const witnesses = (policy?.witnesses ?? []).map(({ key }) => ({ kind: "witness" as const, name: key.name }));
  return [...logs, ...witnesses];
}

/** What a revocation would change: valid receipts that would lose their tier, by model, and what tier they would have. */
export type BlastRadius = {
  receipts: number;
  share: string;
  models: { revision: string; name: string; from: Grade; to: Grade; receipts: number; share: string }[];
};

/** What revoking a root would change. The fold is left as it is. */
export function blastRadius(
  fold: FoldState,
  revocation: { kind: RootKind; root: Uint8Array; since?: number },
): BlastRadius {
  const { kind, since = 0 } = revocation;
  const target = keyOf(revocation.root);
  const before = reliedBy(fold);
  const after: IsRelied = (some, root, timeSeconds) => {
    const isMeant = some === kind && root === target;
    if (isMeant && !(timeSeconds !== undefined && timeSeconds < since)) return false;
    return before(some, root, timeSeconds);
  };
  const changes = new Map<string, { model: Key; from: Grade; to: Grade; receipts: number }>();
  let validReceipts = 0;
  let lost = 0;
  for (const [id, receipt] of fold.receipts) {
    if (receipt.exclusion !== undefined) continue;
    validReceipts++;
    const [from, to] = [tierBy(fold, id, receipt, before), tierBy(fold, id, receipt, after)];
    if (from === to) continue;
    lost++;
    const name = `${receipt.model} ${from} ${to}`;
    const change = changes.get(name) ?? { model: receipt.model, from, to, receipts: 0 };
    change.receipts++;
    changes.set(name, change);
  }
  const models = [...changes.values()].map(({ model, from, to, receipts }) => ({
    revision: hexOf(model),
    name: fold.models.get(model)?.manifest.name ?? "",
    ...{ from, to, receipts, share: shareOf(receipts, validReceipts) },
  }));
  const nameOf = ({ name, revision, from, to }: (typeof models)[number]) => `${name} ${revision} ${from} ${to}`;
  models.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return { receipts: lost, share: shareOf(lost, validReceipts), models };
}

function tierBy(fold: FoldState, id: Key, receipt: UsedReceipt, isRelied: IsRelied): Grade {
  return gradeOf(fold, receipt, fold.proofs.examinations.get(id), timeOf(fold, receipt.index), isRelied);
}

/** The tier that a receipt has reached, by all that is in the log; undefined where the log has no such receipt. */
export function tierOf(fold: FoldState, id: Key): Grade | undefined {
  const receipt = fold.receipts.get(id);
  return receipt && tierBy(fold, id, receipt, reliedBy(fold));
}

function shareOf(part: number, all: number): string {
  const millionths = all === 0 ? 0n : (BigInt(part) * 1_000_000n) / BigInt(all);
  return `${millionths / 1_000_000n}.${String(millionths % 1_000_000n).padStart(6, "0")}`;
}
