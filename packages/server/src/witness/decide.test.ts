import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AddCheckpoint,
  checkpointText,
  EMPTY_ROOT,
  encodeAddCheckpoint,
  leafHash,
  type Note,
  type NoteKey,
  parseAddCheckpoint,
  parseBundle,
  parseNote,
  parseNoteKey,
  tilePath,
  utf8,
} from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory, ORIGIN_IN_MEMORY } from "../../../../test/log-in-memory.ts";
import { vectorsOf } from "../../../../test/vectors-dir.ts";
import { type Decision, decide, type KnownLog, readRequest } from "./decide.ts";

/** A log of 33 entries; `fork` has the same key, and another entry at index 7. */
const log = new LogInMemory();
const fork = new LogInMemory();
for (let i = 0; i < 33; i++) {
  log.append(utf8(`entry ${i}`));
  fork.append(utf8(i === 7 ? "another" : `entry ${i}`));
}
const stranger = fixedNoteSigner("stranger.example");
const impostor = fixedNoteSigner(ORIGIN_IN_MEMORY, "another key under the log's name");
const successor = fixedNoteSigner(ORIGIN_IN_MEMORY, "the log's next key");

const ask = (oldSize: number, size: number, from = log) => requestOf(from.witnessRequest(oldSize, size));
const requestOf = (parts: Parameters<typeof encodeAddCheckpoint>[0]) => parseAddCheckpoint(encodeAddCheckpoint(parts));

/** That request with its note signed by `sign` in place of the log. */
function resigned(request: AddCheckpoint, sign: (text: string) => Note["signatures"]): AddCheckpoint {
  const { text } = request.checkpoint.note;
  return { ...request, checkpoint: { ...request.checkpoint, note: { text, signatures: sign(text) } } };
}

/** A checkpoint of any root, signed by the log. */
function signedTree(oldSize: number, size: number, root: Uint8Array): AddCheckpoint {
  const text = checkpointText({ origin: ORIGIN_IN_MEMORY, size, root });
  return requestOf({ oldSize, proof: [], note: { text, signatures: [log.signer.sign(text)] } });
}

/** A witness of one log that remembers what it decided and nothing more. */
function remember(keys: readonly NoteKey[] = [log.key]) {
  const known: { -readonly [Name in keyof KnownLog]: KnownLog[Name] } = { keys, latest: undefined };
  return {
    known,
    async decide(request: AddCheckpoint): Promise<Decision> {
      const decision = await decide(request, known);
      const { size, root } = request.checkpoint;
      if (decision.kind === "cosign") known.latest = { size, root };
      return decision;
    },
  };
}

/** A decision as its status, and the size where it is a conflict. */
function statusOf(decision: Decision): number | string {
  if (decision.kind === "refuse") return decision.status;
  return { cosign: "200", conflict: `409 ${"size" in decision ? decision.size : ""}`, fork: "422 fork" }[decision.kind];
}

const lastFlipped = (request: AddCheckpoint) => ({
  ...request,
  proof: request.proof.map((hash, i) => (i === request.proof.length - 1 ? hash.with(31, (hash[31] ?? 0) ^ 1) : hash)),
});

const steps: [why: string, request: AddCheckpoint, answer: number | string][] = [
  ["a size that a log never cosigned does not have", ask(1, 2), "409 0"],
  ["the empty tree with another root", signedTree(0, 0, leafHash(utf8("x"))), 422],
  ["the empty tree", signedTree(0, 0, EMPTY_ROOT), "200"],
  ["the empty tree again", signedTree(0, 0, EMPTY_ROOT), "200"],
  ["the first tree, with a proof that it needs none of", { ...ask(0, 5), proof: [log.root()] }, 422],
  ["the first tree, unsigned", resigned(ask(0, 5), (text) => [stranger.sign(text)]), 403],
  ["the first tree, on trust", ask(0, 5), "200"],
  ["the same tree", ask(5, 5), "200"],
  ["the same tree with a proof", { ...ask(5, 5), proof: [log.root()] }, 422],
  ["the same tree from nothing", ask(0, 5), "409 5"],
  ["growth by one", ask(5, 6), "200"],
  ["growth with the proof of another size", { ...ask(6, 9), proof: log.consistencyHashes(5, 9) }, 422],
  ["growth with a bit of the proof flipped", lastFlipped(ask(6, 9)), 422],
  ["growth without a proof", { ...ask(6, 9), proof: [] }, 422],
  ["growth with a hash too many", { ...ask(6, 9), proof: [...ask(6, 9).proof, log.root()] }, 422],
  ["growth from a size that is past", ask(5, 9), "409 6"],
  ["growth from a size that is not yet", ask(7, 9), "409 6"],
  ["a tree that shrinks", { ...ask(0, 5), oldSize: 6 }, 400],
  ["growth, unsigned", resigned(ask(6, 9), (text) => [stranger.sign(text)]), 403],
  ["growth, by another key under the log's name", resigned(ask(6, 9), (text) => [impostor.sign(text)]), 403],
  [
    "growth, with a line of the log's key that does not hold beside one that does",
    resigned(ask(6, 9), (text) => [log.signer.sign(text), log.signer.sign(`${text}and more\n`)]),
    403,
  ],
  [
    "growth, signed by the log and by strangers",
    resigned(ask(6, 9), (text) => [stranger.sign(text), impostor.sign(text), log.signer.sign(text)]),
    "200",
  ],
  ["a fork of the same size", signedTree(9, 9, fork.root(9)), "422 fork"],
  ["a fork that grew", ask(9, 20, fork), 422],
  ["a fork from nothing", ask(0, 20, fork), "409 9"],
  ["all of the log", ask(9, 33), "200"],
];

test("one log, from nothing to its end: each request is answered as the specification says, and only a 200 is remembered", async () => {
  const witness = remember();
  for (const [why, request, answer] of steps) {
    const before = witness.known.latest;
    expect(statusOf(await witness.decide(request)), why).toBe(answer);
    if (answer !== "200") expect(witness.known.latest, why).toBe(before);
  }
  expect(witness.known.latest).toEqual({ size: 33, root: log.root() });
});

test("a log that it does not know is 404, whatever the request says", async () => {
  for (const [why, request] of steps) expect(statusOf(await decide(request, undefined)), why).toBe(404);
});

test("signatures come before sizes: a stranger learns neither the size nor that the old one is wrong", async () => {
  const unsigned = (request: AddCheckpoint) => resigned(request, (text) => [stranger.sign(text)]);
  for (const request of [ask(3, 4), { ...ask(0, 5), oldSize: 6 }, signedTree(0, 0, log.root())])
    expect(statusOf(await remember().decide(unsigned(request)))).toBe(403);
});

test("a body that is no request is 400", () => {
  for (const text of ["", "old 1\n", "old 0\n\nlog.example\n"])
    expect(readRequest(utf8(text))).toMatchObject({ kind: "refuse", status: 400 });
  expect(readRequest(encodeAddCheckpoint(log.witnessRequest(0, 5)))).toMatchObject({ kind: "read" });
});

test("every growth of a tree up to 33 is cosigned with its proof, and with none of a neighbour's", async () => {
  for (let from = 1; from < 33; from++)
    for (let to = from; to <= 33; to++) {
      const known = { keys: [log.key], latest: { size: from, root: log.root(from) } };
      expect(statusOf(await decide(ask(from, to), known)), `${from} to ${to}`).toBe("200");
      const wrong = { ...ask(from, to), proof: [...ask(from, to).proof, EMPTY_ROOT] };
      expect(statusOf(await decide(wrong, known)), `${from} to ${to}`).toBe(422);
      const lacking = { ...ask(from, to), proof: ask(from, to).proof.slice(1) };
      if (to > from) expect(statusOf(await decide(lacking, known)), `${from} to ${to}`).toBe(422);
    }
});

test("while a log's key rotates, either key will do, and each is kept once", async () => {
  const keys = [log.key, successor.key];
  const decideFor = async (sign: (text: string) => Note["signatures"]) => {
    const decision = await remember(keys).decide(resigned(ask(0, 5), sign));
    return decision.kind === "cosign" ? decision.signatures : statusOf(decision);
  };
  const { text } = ask(0, 5).checkpoint.note;
  const [old, next] = [log.signer.sign(text), successor.sign(text)];
  expect(await decideFor(() => [old])).toEqual([old]);
  expect(await decideFor(() => [stranger.sign(text), next])).toEqual([next]);
  expect(await decideFor(() => [next, old, next, old])).toEqual([next, old]);
  expect(await decideFor(() => [old, successor.sign("another text\n")])).toBe(403);
});

test("lines after the root change nothing: the first three say which tree it is", async () => {
  const text = `${ask(0, 5).checkpoint.note.text}an extension\nand another\n`;
  const { checkpoint } = ask(0, 5);
  const note = { text, signatures: [log.signer.sign(text)] };
  const witness = remember();
  expect(statusOf(await witness.decide({ oldSize: 0, proof: [], checkpoint: { ...checkpoint, note } }))).toBe("200");
  expect(statusOf(await witness.decide(ask(5, 5)))).toBe("200");
});

test("whatever it is sent, in whatever order, all that it cosigns is of one tree that never shrinks", async () => {
  const size = fc.nat(33);
  const sent = fc.record({ oldSize: size, newSize: size, isFork: fc.boolean(), proofFrom: fc.option(size) });
  await fc.assert(
    fc.asyncProperty(fc.array(sent, { maxLength: 40 }), async (requests) => {
      const witness = remember();
      const cosigned: { size: number; root: Uint8Array }[] = [];
      for (const { oldSize, newSize, isFork, proofFrom } of requests) {
        const from = isFork ? fork : log;
        // Half of them ask from the right size, or nothing would be cosigned after the first.
        const old = proofFrom === null ? (witness.known.latest?.size ?? 0) : oldSize;
        const request = { ...ask(old, newSize, from), proof: from.consistencyHashes(proofFrom ?? old, newSize) };
        const decision = await witness.decide(request);
        if (decision.kind === "cosign") cosigned.push({ size: newSize, root: from.root(newSize) });
        if (decision.kind === "conflict") expect(decision.size).toBe(cosigned.at(-1)?.size ?? 0);
      }
      expect(cosigned.map((tree) => tree.size)).toEqual(cosigned.map((tree) => tree.size).toSorted((a, b) => a - b));
      const isOf = (whole: LogInMemory) =>
        cosigned.every((tree) => Buffer.from(whole.root(tree.size)).equals(tree.root));
      expect(isOf(log) || isOf(fork)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

const folder = vectorsOf("tessera-log");
const skipped = folder === undefined ? " (skipped: no vectors)" : "";

test.skipIf(folder === undefined)(
  `transparency-dev/tessera's log is cosigned from 0 to 15 in order, and never backwards${skipped}`,
  async () => {
    const key = parseNoteKey("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx");
    const read = (path: string) => new Uint8Array(readFileSync(join(folder ?? "", path)));
    const tessera = new LogInMemory(key.name);
    tessera.entries.push(...parseBundle(read(tilePath({ level: "entries", index: 0, width: 15 })), 15));
    const askTessera = (oldSize: number, size: number) =>
      requestOf({
        oldSize,
        proof: tessera.consistencyHashes(oldSize, size),
        note: parseNote(read(`checkpoint.${size}`)),
      });
    const witness = remember([key]);
    for (let size = 0; size <= 15; size++)
      expect(statusOf(await witness.decide(askTessera(Math.max(0, size - 1), size)))).toBe("200");
    for (let size = 14; size >= 0; size--) {
      expect(statusOf(await witness.decide(askTessera(size, size)))).toBe("409 15");
      expect(statusOf(await witness.decide({ ...askTessera(size, size), oldSize: 15 }))).toBe(400);
    }
    expect(statusOf(await witness.decide(askTessera(15, 15)))).toBe("200");
    for (let first = 0; first <= 15; first++)
      for (let second = first; second <= 15; second++) {
        const fresh = remember([key]);
        await fresh.decide(askTessera(0, first));
        expect(statusOf(await fresh.decide(askTessera(first, second))), `${first} to ${second}`).toBe("200");
      }
  },
);
