/** Closed days as `tally audit` finds them in a bare copy of a log's tiles: recomputed, and held to the log's own snapshots. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  applyEntry,
  createFold,
  type DaySummary,
  daysWithoutSnapshot,
  encodeNoteKey,
  figuresOf,
  hex,
  rulesDigest,
  signEntry,
  WASH_RULES,
} from "@tallystick/protocol";
import { expect, test, vi } from "vitest";
import { type Ran, runTally } from "../e2e/processes.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { DAY, UsageLog } from "../usage-log.ts";
import { serveFiles } from "./file-server.ts";
import { filesOf } from "./log-files.ts";

vi.setConfig({ testTimeout: 300_000 }); // Each command is a process, on a machine that may be busy.

const DAYS = 4;
const dayAt = (place: number) => new Date((NOON_SECONDS + place * DAY) * 1_000).toISOString().slice(0, 10);

function foldOf({ entries }: UsageLog) {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

type Say = (due: DaySummary) => DaySummary | undefined;

/** Four days of six calls each, of which the first two are closed and have the snapshots that `say` makes of what is due. */
async function logOf(say: Say, dropped?: number, days = DAYS): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  for (let day = 0; day < days; day++) {
    const now = NOON_SECONDS + day * DAY;
    for (let call = 0; call < 6; call++) {
      const nonce = 6 * day + call;
      if (nonce !== dropped) await log.call({ authorization: { nonce, expiry: now + DAY } });
    }
    await log.epoch(now);
    for (const due of daysWithoutSnapshot(foldOf(log))) {
      const says = say(due);
      if (says !== undefined) log.append(await signEntry(fixedSigner("log"), "snapshot", { version: 1, ...says }));
    }
  }
  if (days === DAYS) await log.epoch(NOON_SECONDS + (DAYS - 1) * DAY + 60);
  return log;
}

const asItIs: Say = (due) => due;

/** Audits what is served of `log`, with the figures that `published` comes to. */
async function auditServed(log: UsageLog, more: string[] = [], published: UsageLog = log): Promise<Ran> {
  await using folder = await temporaryFolder();
  await using server = await serveFiles(filesOf(log.log, NOON_SECONDS + DAYS * DAY));
  const usage = join(folder.path, "usage.json");
  await writeFile(usage, JSON.stringify(figuresOf(foldOf(published))));
  const vkey = encodeNoteKey(log.log.key);
  const ran = await runTally(["audit", server.url, "--vkey", vkey, "--usage", usage, ...more], folder.path);
  return ran;
}

test("what closed days came to is what the log's snapshots say: the difference is 0", async () => {
  const log = await logOf(asItIs);
  expect([...foldOf(log).snapshots.values()].map(({ day }) => day)).toEqual([dayAt(0), dayAt(1)]);
  const ran = await auditServed(log);
  expect(ran).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/^tally: .* answers as no network: it is read as a copy .*\n$/),
  });
  expect(ran.stdout).toContain("difference  0\n");
  expect(ran.stdout).toMatch(/\nverdict {5}holds\n$/);
  expect(ran.stdout.match(/the same/g)).toHaveLength(2);
});

test("a snapshot that says another result is named, with its day and what the day came to", async () => {
  const forged = await logOf((due) => (due.day === dayAt(1) ? { ...due, result: due.result.map((b) => b ^ 1) } : due));
  const ran = await auditServed(forged);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toMatch(
    new RegExp(`FAILED  snapshot at entry \\d+: the snapshot of ${dayAt(1)} says that it came to`),
  );
  expect(ran.stdout).not.toContain(`the snapshot of ${dayAt(0)}`);
});

test("a receipt that the log lost is missed: the day came to something else than its snapshot says", async () => {
  const days = new Map<string, DaySummary>();
  const whole = await logOf((due) => {
    days.set(due.day, due);
    return due;
  });
  const rewritten = await logOf(({ day, size }) => ({ ...(days.get(day) ?? absent(day)), size }), 2);
  const ran = await auditServed(rewritten, [], whole);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toContain(`the snapshot of ${dayAt(0)} says that it came to`);
  expect(ran.stdout).toContain("numbering   1 calls of sessions not in the log");
});

test("a snapshot by rules that this release does not have is named as such", async () => {
  const rules = rulesDigest({ ...WASH_RULES, fewestClusters: 2 });
  const ran = await auditServed(await logOf((due) => ({ ...due, rules })));
  expect(ran.status).toBe(3);
  expect(ran.stdout).toContain(`is by rules that this release does not have: ${hex(rules)}`);
});

test("a day that closed and has no snapshot an epoch later, of another size, or of a day that is open: each is named", async () => {
  const open = dayAt(DAYS - 1);
  const ran = await auditServed(
    await logOf((due) => (due.day === dayAt(0) ? { ...due, day: open } : { ...due, size: due.size - 1 })),
    ["--json"],
  );
  expect(ran.status).toBe(3);
  const { findings, days } = JSON.parse(ran.stdout);
  const details = findings.map(({ check, detail }: Record<string, string>) => `${check}: ${detail}`).join("\n");
  expect(details).toContain(`snapshot: the snapshot of ${open} is of a day that was not closed`);
  expect(details).toMatch(
    new RegExp(`snapshot: the snapshot of ${dayAt(1)} says that it closed at \\d+ entries; it did at`),
  );
  expect(details).toMatch(
    new RegExp(`snapshot: ${dayAt(0)} closed at \\d+ entries, and the log has no snapshot of it`),
  );
  expect(days.map(({ agrees }: { agrees: boolean }) => agrees)).toEqual([false, false]);
});

test("a day and a model of it are printed as they were computed", async () => {
  const log = await logOf(asItIs);
  const day = await auditServed(log, ["--day", dayAt(0)]);
  expect(day).toMatchObject({ status: 0, stdout: expect.stringMatching(/inferences +6 +6 /) });
  const model = JSON.parse((await auditServed(log, ["--model", "example/double", "--json"])).stdout);
  expect(model.document.day).toBe(dayAt(1));
  expect(new Set(model.document.groups.map(({ by }: { by: string }) => by))).toEqual(new Set(["model"]));
});

test("figures that lack what the log had long before its last epoch are found, however right they were", async () => {
  const log = await logOf(asItIs);
  const ran = await auditServed(log, [], await logOf(asItIs, undefined, 1));
  expect(ran).toMatchObject({
    status: 3,
    stdout: expect.stringMatching(/FAILED {2}published: the figures are of \d+ entries, long before/),
  });
  expect(ran.stdout).toContain("difference  0\n");
  expect(ran.stdout).toMatch(/\nverdict {5}DOES NOT HOLD: a check failed\n$/);
});

test("a day that no calendar has is refused before anything is read; one that is not closed after all is said", async () => {
  const log = await logOf(asItIs);
  expect(await auditServed(log, ["--day", "2026-02-30"])).toMatchObject({ status: 2, stdout: "" });
  const open = await auditServed(log, ["--day", dayAt(DAYS - 1)]);
  expect(open).toMatchObject({ status: 2, stdout: expect.stringContaining("difference  0\n") });
  const forged = await logOf((due) => ({ ...due, result: due.result.map((b) => b ^ 1) }));
  expect(await auditServed(forged, ["--day", dayAt(DAYS - 1)])).toMatchObject({ status: 3 });
});

function absent(day: string): never {
  throw new Error(`${day} had no snapshot`);
}
