import { expect, test } from "vitest";
import { fixedNoteSigner, type NoteSigner } from "../../../../test/fixed-keys.ts";
import { handOver } from "../../../../test/handovers.ts";
import { utf8 } from "../bytes.ts";
import { type Checkpoint, checkpointText, parseCheckpoint } from "./checkpoint.ts";
import type { Handover } from "./handover.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { createNoteKey, encodeNote, encodeNoteKey } from "./note.ts";
import { parsePolicy } from "./policy.ts";
import { followHandovers, lowerMedian, trustInLog, verifyCheckpoint } from "./trust.ts";

const ORIGIN = "log.example/tallystick";
const NOON = Date.UTC(2026, 10, 22, 12) / 1000;
const [one, two, three, thief] = ["one", "two", "three", "thief"].map((label) => fixedNoteSigner(ORIGIN, label)) as [
  NoteSigner,
  NoteSigner,
  NoteSigner,
  NoteSigner,
];

/** Two changes of key: from the first at 10 entries, from the second at 20. */
const HANDOVERS = [handOver(one, two, 10), handOver(two, three, 20)];

function checkpoint(size: number, signers: NoteSigner[], times: [NoteSigner, number][] = [[signers[0]!, NOON]]) {
  const text = checkpointText({ origin: ORIGIN, size, root: EMPTY_ROOT });
  const signatures = [...signers.map(({ sign }) => sign(text)), ...times.map(([{ cosign }, at]) => cosign(text, at))];
  return parseCheckpoint(utf8(encodeNote({ text, signatures })));
}

async function verify(trusted: NoteSigner, handovers: readonly Handover[], of: Checkpoint) {
  return verifyCheckpoint(of, await followHandovers(trustInLog(trusted.key), handovers));
}

test.each<[string, NoteSigner]>([
  ["first", one],
  ["second", two],
  ["third", three],
])(
  "whoever trusts the %s of three keys trusts each for its own sizes, in whatever order the handovers come",
  async (_, trusted) => {
    for (const handovers of [HANDOVERS, HANDOVERS.toReversed()])
      for (const [signer, first, last] of [
        [one, 0, 10],
        [two, 10, 20],
        [three, 20, 1_000],
      ] as const) {
        for (const size of [first, last])
          expect(await verify(trusted, handovers, checkpoint(size, [signer]))).toEqual({ ok: true, timeSeconds: NOON });
        const outside = [...(first === 0 ? [] : [first - 1]), ...(last === 1_000 ? [] : [last + 1])];
        for (const size of outside)
          expect(await verify(trusted, handovers, checkpoint(size, [signer]))).toEqual({
            ok: false,
            failure: "unsigned",
          });
      }
  },
);

test("without handovers a key is trusted for every size, and no other key for any", async () => {
  expect(await verify(one, [], checkpoint(1_000, [one]))).toMatchObject({ ok: true });
  expect(await verify(one, [], checkpoint(10, [two]))).toEqual({ ok: false, failure: "unsigned" });
});

const another = (label: string) => fixedNoteSigner("another.example", label);
test.each<[string, Handover]>([
  ["signed by the new key alone", handOver(one, thief, 10, [thief])],
  ["signed by the old key alone", handOver(one, thief, 10, [one])],
  ["of another origin", handOver(another("one"), another("thief"), 10)],
  ["from a key that is not trusted", handOver(two, thief, 10)],
])("a handover %s gives nobody the log", async (_, forged) => {
  expect(await verify(one, [forged], checkpoint(10, [thief]))).toEqual({ ok: false, failure: "unsigned" });
  expect(await verify(one, [forged], checkpoint(11, [one]))).toMatchObject({ ok: true }); // Nor does it take it from anybody.
});

test("a second handover from the same key changes nothing, whichever size it names", async () => {
  for (const size of [0, 5, 10, 15]) {
    const handovers = [...HANDOVERS, handOver(one, thief, size)];
    for (const of of [checkpoint(size, [thief]), checkpoint(30, [thief])])
      expect(await verify(one, handovers, of)).toEqual({ ok: false, failure: "unsigned" });
    expect(await verify(three, [handOver(one, thief, size), ...HANDOVERS], checkpoint(size, [thief]))).toEqual({
      ok: false,
      failure: "unsigned",
    });
  }
});

test("a key is handed over only within the sizes that are its own", async () => {
  const early = [handOver(one, two, 10), handOver(two, thief, 9)];
  expect(await verify(one, early, checkpoint(9, [thief]))).toEqual({ ok: false, failure: "unsigned" });
  const late = [handOver(two, three, 20), handOver(thief, two, 21)];
  expect(await verify(three, late, checkpoint(5, [thief]))).toEqual({ ok: false, failure: "unsigned" });
});

test("handovers that lead in a circle change nothing after the first", async () => {
  const handovers = [handOver(one, two, 10), handOver(two, one, 20)];
  expect(await verify(one, handovers, checkpoint(25, [two]))).toMatchObject({ ok: true });
  expect(await verify(one, handovers, checkpoint(25, [one]))).toEqual({ ok: false, failure: "unsigned" });
});

test("a time is not the word of a key that the log no longer has, or does not have yet", async () => {
  const stale = checkpoint(
    15,
    [two],
    [
      [two, NOON],
      [one, NOON - 86_400],
      [three, NOON - 86_400],
    ],
  );
  expect(await verify(two, HANDOVERS, stale)).toEqual({ ok: true, timeSeconds: NOON });
  const borrowed = checkpoint(15, [two], [[one, NOON]]);
  expect(await verify(two, HANDOVERS, borrowed)).toEqual({ ok: false, failure: "not_cosigned" });
});

test("a line by any key of the log that does not hold refuses the checkpoint", async () => {
  const whole = checkpoint(15, [two, one]);
  const signatures = whole.note.signatures.map((line) =>
    line.id === whole.note.signatures[1]?.id ? { ...line, signature: line.signature.toReversed() } : line,
  );
  expect(await verify(two, HANDOVERS, { ...whole, note: { ...whole.note, signatures } })).toEqual({
    ok: false,
    failure: "bad_signature",
  });
});

const witnesses = ["w1", "w2", "w3"].map((name) => fixedNoteSigner(`${name}.example`));
const policy = parsePolicy(
  utf8(
    [
      ...witnesses.map(
        ({ key }) => `witness ${key.name} ${encodeNoteKey(createNoteKey(key.name, "cosignature", key.publicKey))}`,
      ),
      `group two 2 ${witnesses.map(({ key }) => key.name).join(" ")}`,
      "quorum two",
      "",
    ].join("\n"),
  ),
);

test("with a policy the time is the lower median of its witnesses, and takes their quorum; the log's own word counts for nothing", async () => {
  const trust = trustInLog(one.key, policy);
  const [w1, w2, w3] = witnesses as [NoteSigner, NoteSigner, NoteSigner];
  const cosigned = (...times: [NoteSigner, number][]) => verifyCheckpoint(checkpoint(5, [one], times), trust);
  expect(await cosigned([w1, 30], [w2, 10], [w3, 20], [one, 1])).toEqual({ ok: true, timeSeconds: 20 });
  expect(await cosigned([w1, 30], [w2, 10])).toEqual({ ok: true, timeSeconds: 10 });
  expect(await cosigned([w1, 30], [w1, 31], [one, 1])).toEqual({ ok: false, failure: "not_cosigned" });
  expect(await cosigned([w1, 30], [thief, 31])).toEqual({ ok: false, failure: "not_cosigned" });
});

test("the lower median is the lower of the two in the middle", () => {
  expect([[], [5], [5, 3], [9, 1, 5], [4, 3, 2, 1]].map(lowerMedian)).toEqual([undefined, 5, 3, 5, 2]);
});
