import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFold, equal, type LotPayload, parseEntry, sha256 } from "@tallystick/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createSigner, generateKey } from "../platform/keys.ts";
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
function open(lots: Partial<Lots>, submit: (says: LotPayload) => void, chainLength = 300) {
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
  };
  return createVerifier(parts);
}

test("each lot that waits gets the value before the one revealed last, across restarts and to the end of the chain", async () => {
  let last: Uint8Array | undefined;
  let due: number[] = [];
  const lots = { revealDue: () => [...due], lastReveal: () => last, newest: () => last };
  const hear = (says: LotPayload) => {
    if (says.action === "reveal") {
      expect(last !== undefined && equal(sha256(says.value), last)).toBe(true);
      due = due.filter((epoch) => epoch !== says.epoch);
    }
    last = says.action === "commit" ? says.anchor : says.value;
  };
  for (const epochs of [[], [1], [2, 3], [4]]) {
    due = epochs;
    const verifier = open(lots, hear, 4);
    verifier.wake();
    await verifier.idle();
    await verifier.close();
  }
  expect(said.map(({ action }) => action)).toEqual(["commit", "reveal", "reveal", "reveal", "reveal"]);
  const verifier = open(lots, hear, 4);
  verifier.wake();
  await verifier.idle();
  await verifier.close();
  expect(said.map(({ action }) => action).slice(5)).toEqual(["commit"]); // Nothing of the first is left.
  expect(reported).toEqual([]);
});

test("a verifier whose chain is lost commits to one other, and reveals nothing to lots that rest on the lost one", async () => {
  const lost = new Uint8Array(32).fill(9);
  let newest: Uint8Array = lost;
  const verifier = open({ revealDue: () => [7], lastReveal: () => lost, newest: () => newest }, (says) => {
    if (says.action === "commit") newest = says.anchor;
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
