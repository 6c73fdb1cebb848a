import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyEntry, createFold, figuresOf, type LotPayload, parseEntry } from "@tallystick/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NOON_SECONDS } from "../../../../test/one-receipt.ts";
import { UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { createSigner, generateKey } from "../platform/keys.ts";
import { lotsOf } from "./lots.ts";
import { createVerifier, type Lots, VERIFIER_LIMITS, type VerifierParts } from "./service.ts";

let folder: string;
let said: LotPayload[];
let reported: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tallystick-verifier-"));
  [said, reported] = [[], []];
});
afterEach(() => rm(folder, { recursive: true }));

let drawn = 0;

/** A verifier of which the log hears `submit`. */
function open(
  lots: Partial<Lots>,
  submit: (says: LotPayload) => void,
  chainLength = 300,
  others: Partial<VerifierParts> = {},
) {
  const parts: VerifierParts = {
    signer: createSigner(generateKey()),
    fold: createFold(),
    clock: { nowMs: () => 0 },
    random: (count) => new Uint8Array(count).fill(++drawn),
    report: (event) => void reported.push(event),
    lots: { drawn: () => [], revealDue: () => [], lastReveal: () => undefined, newest: () => undefined, ...lots },
    judge: { reexecute: () => Promise.reject(new Error("nothing is to be judged")) },
    chainPath: join(folder, "chain"),
    chainLength,
    readEntry: () => Promise.reject(new Error("nothing is to be read")),
    askOpening: () => Promise.reject(new Error("nothing is to be opened")),
    takeChecks: async () => [],
    async submit({ entry }) {
      const { kind, says } = parseEntry(entry);
      if (kind !== "lot") throw new Error(`a ${kind} was said`);
      said.push(says);
      submit(says);
    },
    limits: VERIFIER_LIMITS,
    ...others,
  };
  return createVerifier(parts);
}

test("a verifier goes from chain to chain and misses no lot, across restarts and for all that is open at once", async () => {
  const log = await UsageLog.open();
  await log.enrol("verifier", "verifier");
  const fold = createFold();
  const follow = () => {
    for (const entry of log.entries.slice(fold.size)) applyEntry(fold, entry);
  };
  const lots = lotsOf(fold, log.idOf("verifier"));
  const work = async () => {
    follow();
    const verifier = open({ ...lots, drawn: () => [] }, () => {}, 8, {
      signer: unsignedSigner("verifier"),
      async submit({ entry }) {
        log.append(parseEntry(entry));
        follow();
      },
    });
    verifier.wake();
    await verifier.idle();
    await verifier.close();
  };
  await work();
  await log.epoch(NOON_SECONDS);
  for (let round = 1; round <= 30; round++) {
    await log.call({ authorization: { openness: "lot" } });
    await log.epoch(NOON_SECONDS + 60 * round);
    if (round % 3 === 0) await work(); // Else two lots more wait.
  }
  const { drawn, undrawnEpochs, missingReveals } = figuresOf(fold).totals.verification;
  expect({ drawn, undrawnEpochs, missingReveals }).toEqual({ drawn: 30, undrawnEpochs: 0, missingReveals: 0 });
  const commits = log.entries.filter(({ kind, says }) => kind === "lot" && "anchor" in says);
  expect(commits.length).toBeGreaterThan(3);
  expect(commits.length).toBeLessThan(10); // One when half of the last is left, and not one a round.
  expect(reported).toEqual([]);
});

test("a chain of a single reveal is followed by another", async () => {
  let newest: { last: Uint8Array; left: number } | undefined;
  let due = [1];
  const lots = { revealDue: () => due, lastReveal: () => newest?.last, newest: () => newest };
  const verifier = open(
    lots,
    (says) => {
      if (says.action === "reveal") due = [];
      newest = says.action === "commit" ? { last: says.anchor, left: 1 } : { last: says.value, left: 0 };
    },
    1,
  );
  for (let round = 0; round < 3; round++) {
    verifier.wake();
    await verifier.idle();
  }
  await verifier.close();
  expect(said.map(({ action }) => action)).toEqual(["commit", "reveal", "commit"]);
});

test("a verifier whose chain is lost commits to one other, and reveals nothing to lots that rest on the lost one", async () => {
  const lost = new Uint8Array(32).fill(9);
  let newest: { last: Uint8Array; left: number } = { last: lost, left: 9 };
  const verifier = open({ revealDue: () => [7], lastReveal: () => lost, newest: () => newest }, (says) => {
    if (says.action === "commit") newest = { last: says.anchor, left: says.length };
  });
  for (let round = 0; round < 3; round++) {
    verifier.wake();
    await verifier.idle();
  }
  await verifier.close();
  expect(said.map(({ action }) => action)).toEqual(["commit"]);
});

test("a chain that was made and not spoken of is the one that is committed to after a crash", async () => {
  const broken = open({}, () => {
    throw new Error("the log does not answer");
  });
  broken.wake();
  await broken.idle();
  await broken.close();
  const verifier = open({}, () => {});
  verifier.wake();
  await verifier.idle();
  await verifier.close();
  const [first, second] = said.map((says) => (says.action === "commit" ? says.anchor : undefined));
  expect(second).toEqual(first);
  expect(reported).toHaveLength(1);
});

test("while it closes it begins nothing anew, also where what it says is still on its way", async () => {
  const [said, read] = [deferred(), deferred()];
  let rounds = 0;
  const receipt = new Uint8Array(32);
  const verifier = open({ drawn: () => [{ receipt, index: 0, epoch: 0 }] }, () => {}, 300, {
    submit: () => said.promise,
    async readEntry() {
      await read.promise;
      throw new Error("the log is closing");
    },
    async takeChecks() {
      rounds++;
      return [];
    },
  });
  verifier.wake();
  await vi.waitUntil(() => rounds > 0);
  const closed = verifier.close();
  read.resolve();
  await new Promise((resolve) => setTimeout(resolve)); // Whatever would begin has begun.
  expect(rounds).toBe(1);
  said.resolve();
  await closed;
  expect(rounds).toBe(1);
});

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
