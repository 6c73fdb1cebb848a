import {
  createNoteKey,
  encodeCosignatures,
  encodeNoteKey,
  type Note,
  type NoteSignature,
  parseAddCheckpoint,
  parsePolicy,
  utf8,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { createWitnessing, type WitnessLink } from "./witnesses.ts";

const log = new LogInMemory();
for (let i = 0; i < 9; i++) log.append(utf8(`entry ${i}`));
const NOON = 1_790_000_000;

const signers = ["a", "b", "c"].map((name) => fixedNoteSigner(`witness.example/${name}`));
const keys = signers.map(({ key }) => createNoteKey(key.name, "cosignature", key.publicKey));
const lines = keys.map((key, i) => `witness w${i} ${encodeNoteKey(key)}\n`).join("");
const policyOf = (quorum: string) => parsePolicy(utf8(`${lines}group q ${quorum} w0 w1 w2\nquorum q\n`));

type Answer = { status: number; body: Uint8Array };
const consent = (which: number, text: string, timeSeconds = NOON): Answer => {
  const line = signers[which]!.cosign(text, timeSeconds) as NoteSignature;
  return { status: 200, body: utf8(encodeCosignatures([line])) };
};

/** A witness that answers as `answer` says; `asked` collects the old sizes it was asked with. */
function link(
  which: number,
  answer: (text: string, oldSize: number) => Promise<Answer> | Answer,
  asked: number[] = [],
): WitnessLink {
  return {
    key: keys[which]!,
    async addCheckpoint(body) {
      const { oldSize, checkpoint } = parseAddCheckpoint(body);
      asked.push(oldSize);
      return answer(checkpoint.note.text, oldSize);
    },
    latest: async () => undefined,
  };
}

const state = (size = log.entries.length) => {
  const note: Note = log.checkpoint(NOON, size);
  return { size, note, proof: async (from: number) => log.consistencyHashes(from, size) };
};

const reports: string[] = [];
const witnessing = (links: WitnessLink[], quorum = "2", nowMs = () => 0) =>
  createWitnessing({
    policy: policyOf(quorum),
    links,
    clock: { nowMs },
    timeoutMs: 20,
    report: (event) => void reports.push(event),
  });

const never = new Promise<Answer>(() => {});

test("a quorum is reached by those that answer, and the time is the lower median of theirs", async () => {
  const links = [0, 1, 2].map((i) => link(i, (text) => consent(i, text, NOON + 10 * i)));
  expect(await witnessing(links).cosign(state())).toMatchObject({ timeSeconds: NOON + 10 });
  const two = [
    link(0, (text) => consent(0, text, NOON)),
    link(1, () => never),
    link(2, (text) => consent(2, text, NOON + 5)),
  ];
  const cosigned = await witnessing(two).cosign(state());
  expect(cosigned.timeSeconds).toBe(NOON);
  expect(cosigned.signatures.map(({ name }) => name)).toEqual([keys[0]!.name, keys[2]!.name]);
  expect((await witnessing(two, "all").cosign(state())).timeSeconds).toBeUndefined();
});

test.each<[string, (text: string) => Answer]>([
  ["signs another text", (text) => consent(0, `${text}more\n`)],
  ["answers with a line of another key", (text) => consent(1, text)],
  ["answers with no line", () => ({ status: 200, body: utf8("fine\n") })],
  ["refuses", () => ({ status: 422, body: utf8("no") })],
  ["says that it has more than the log", () => ({ status: 409, body: utf8("1000\n") })],
  ["names another size each time", () => ({ status: 409, body: utf8(`${1 + (reports.length % 7)}\n`) })],
])("a witness that %s counts as none, and holds up nobody", async (_, answer) => {
  const links = [link(0, answer), link(1, (text) => consent(1, text)), link(2, (text) => consent(2, text))];
  const cosigned = await witnessing(links, "all").cosign(state());
  expect(cosigned.timeSeconds).toBeUndefined();
  expect(cosigned.signatures.map(({ name }) => name)).toEqual([keys[1]!.name, keys[2]!.name]);
  expect((await witnessing(links, "2").cosign(state())).timeSeconds).toBe(NOON);
});

test("it is asked with the size that it names, from then on with the one it cosigned, and not again about the same tree", async () => {
  const asked: number[] = [];
  const one = link(
    0,
    (text, oldSize) => (oldSize === 4 || oldSize === 6 ? consent(0, text) : { status: 409, body: utf8("4\n") }),
    asked,
  );
  const own = witnessing([one], "any");
  expect((await own.cosign(state(6))).timeSeconds).toBe(NOON);
  expect((await own.cosign(state(6))).timeSeconds).toBe(NOON);
  expect((await own.cosign(state(9))).timeSeconds).toBe(NOON);
  expect(asked).toEqual([0, 4, 6]);
});

test("one that fails is left alone for a while, and reported once until it answers again", async () => {
  reports.length = 0;
  let [now, isBack] = [0, false];
  const asked: number[] = [];
  const one = link(0, (text) => (isBack ? consent(0, text) : { status: 503, body: utf8("") }), asked);
  const own = witnessing([one], "any", () => now);
  for (now = 0; now < 10_000; now += 100) await own.cosign(state());
  expect(asked.length).toBeGreaterThan(2);
  expect(asked.length).toBeLessThan(8);
  isBack = true;
  now += 60_000;
  expect((await own.cosign(state())).timeSeconds).toBe(NOON);
  expect(reports).toEqual(["a witness does not cosign", "a witness answers again"]);
});

test("one that has not answered yet is not asked again", async () => {
  const asked: number[] = [];
  const own = witnessing([link(0, () => never, asked)], "any");
  for (let i = 0; i < 5; i++) expect(await own.cosign(state())).toEqual({ signatures: [], timeSeconds: undefined });
  expect(asked).toEqual([0]);
});
