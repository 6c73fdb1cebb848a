/** An audit that was cut short goes on: what it says in the end is what one that was not cut short says. */
import { type Audit, auditLog } from "@tallystick/client";
import { type SignatureJob, TILE_WIDTH, tilePath, verifyEs256 } from "@tallystick/protocol";
import { beforeAll, expect, test } from "vitest";
import type { Progress, ProgressStore } from "../../packages/client/src/audit/walk.ts";
import { fixedSigner } from "../fixed-keys.ts";
import { NOON_SECONDS } from "../one-receipt.ts";
import { UsageLog } from "../usage-log.ts";
import { filesOf, type LogFiles, sourceOf, tampered } from "./log-files.ts";

const CALLS = 3 * TILE_WIDTH;
let log: UsageLog;
let files: LogFiles;

beforeAll(async () => {
  log = await UsageLog.open(fixedSigner);
  for (let i = 0; i < CALLS; i++) await log.call({ authorization: { nonce: i } });
  files = filesOf(log.log, NOON_SECONDS);
});

/** Progress in memory. `cutAfter` so many entries it fails, as a process that is killed then. */
class Kept implements ProgressStore {
  readonly everyBundles = 1;
  progress: Progress | undefined;
  readonly #cutAfter: number;

  constructor(cutAfter: number, progress?: Progress) {
    this.#cutAfter = cutAfter;
    this.progress = progress;
  }

  find = async () => this.progress;
  keep = async (progress: Progress) => {
    this.progress = progress;
    if (progress.size >= this.#cutAfter) throw new Error("killed");
  };
}

type Run = { audit: Audit; verified: number };

/** How many entries were shown, of the log that counts in the end. */
let shown = 0;
const onEntry = () => void shown++;
const onRestart = () => {
  shown = 0;
};

async function run(of: LogFiles, kept?: ProgressStore): Promise<Run> {
  let verified = 0;
  shown = 0;
  const verifyAll = (jobs: readonly SignatureJob[]) => {
    verified += jobs.length;
    return Promise.all(jobs.map(({ spki, message, signature }) => verifyEs256(spki, message, signature)));
  };
  const options = kept === undefined ? {} : { kept };
  return {
    audit: await auditLog(sourceOf(of), { trust: log.log.trust, verifyAll, onEntry, onRestart, ...options }),
    verified,
  };
}

async function cutShort(of: LogFiles, cutAfter: number): Promise<Progress> {
  const kept = new Kept(cutAfter);
  await expect(run(of, kept)).rejects.toThrow("killed");
  if (kept.progress === undefined) throw new Error("nothing was kept");
  return kept.progress;
}

/** A byte of entry 10's signature is another one: the last byte of the entry. */
function forged(): LogFiles {
  const path = tilePath({ level: "entries", index: 0, width: TILE_WIDTH });
  return tampered(files, path, (bundle) => {
    let at = 0;
    for (let i = 0; i <= 10; i++) at += 2 + ((bundle[at] ?? 0) << 8) + (bundle[at + 1] ?? 0);
    bundle[at - 1] = (bundle[at - 1] ?? 0) ^ 1;
    return bundle;
  });
}

test("an audit that goes on says what a whole one says, and checks only the signatures that were not checked", async () => {
  const whole = await run(files);
  expect(whole.audit).toMatchObject({ findings: [], signatureCount: whole.verified });
  const kept = await cutShort(files, 2 * TILE_WIDTH);
  const rest = await run(files, new Kept(Infinity, kept));
  expect(rest.audit).toEqual(whole.audit);
  expect(rest.verified).toBeGreaterThan(0);
  expect(rest.verified).toBeLessThan(whole.verified - kept.size);
});

test("a bad signature that was found before the cut is still in the findings", async () => {
  const of = forged();
  const whole = await run(of);
  expect(whole.audit.findings).toContainEqual(expect.objectContaining({ check: "signature", index: 10 }));
  const rest = await run(of, new Kept(Infinity, await cutShort(of, 2 * TILE_WIDTH)));
  expect(rest.audit).toEqual(whole.audit);
});

test("what was kept of another log is worth nothing: every signature is checked", async () => {
  const whole = await run(forged());
  const kept = await cutShort(files, 2 * TILE_WIDTH);
  for (const other of [kept, { ...kept, size: 100 * TILE_WIDTH }]) {
    const again = await run(forged(), new Kept(Infinity, other));
    expect(again).toEqual(whole);
    expect(shown).toBe(again.audit.size);
  }
});

test("of a bundle that is not full nothing is kept, and what was kept of one is not gone by", async () => {
  const kept = new Kept(Infinity);
  const whole = await run(files, kept);
  expect(whole.audit.size % TILE_WIDTH).not.toBe(0);
  expect(kept.progress?.size).toBe(whole.audit.size - (whole.audit.size % TILE_WIDTH));
  // As if the log had ended there: of the rest of that bundle nobody has checked a signature.
  const odd = { size: TILE_WIDTH + 44, root: new Uint8Array(32), bad: [] };
  const again = await run(forged(), new Kept(Infinity, odd));
  expect(again.verified).toBe(whole.verified);
  expect(again.audit.findings.map(({ check }) => check)).toContain("signature");
});
