import {
  type Alarm,
  followLog,
  type LogSource,
  openTree,
  type SignedCheckpoint,
  watchWitness,
} from "@tallystick/client";
import {
  concat,
  hex,
  parseBase64,
  parseCheckpoint,
  parseUtf8,
  sha256,
  TILE_WIDTH,
  tilePath,
  trustInLog,
  utf8,
  verifyCheckpoint,
  verifyConsistency,
} from "@tallystick/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { fixedNoteSigner } from "../fixed-keys.ts";
import type { LogInMemory } from "../log-in-memory.ts";
import { filesOf, flip, type LogFiles, sourceOf, tampered } from "./log-files.ts";
import { numberedLog } from "./numbered-log.ts";

const NOW_SECONDS = 1_800_000_000;
const FORKED_AT = 400;

let honest: LogInMemory;
let forked: LogInMemory;

beforeAll(() => {
  honest = numberedLog(900);
  forked = numberedLog(900, FORKED_AT);
});

/** The files of the first `size` entries of `log`. */
function filesAt(log: LogInMemory, size: number): LogFiles {
  const earlier = numberedLog(0);
  for (const entry of log.entries.slice(0, size)) earlier.append(entry);
  return filesOf(earlier, NOW_SECONDS);
}

const signed = (log: LogInMemory, size: number): SignedCheckpoint => {
  const bytes = utf8(log.checkpointFile(NOW_SECONDS, size));
  return { bytes, checkpoint: parseCheckpoint(bytes) };
};

const follow = (source: LogSource, kept?: SignedCheckpoint) =>
  followLog(source, { trust: honest.trust, ...(kept === undefined ? {} : { kept }) });

async function alarmOf(source: LogSource, kept?: SignedCheckpoint): Promise<Alarm> {
  const look = await follow(source, kept);
  if (look.ok) throw new Error("there was no alarm");
  return look.alarm;
}

/** Anybody may check what an alarm rests on: two checkpoints that the log signed, and a proof between them that fails. */
async function expectProved({ evidence }: Alarm, names: readonly [string, string]): Promise<void> {
  const [before, after] = names.map((name) => parseCheckpoint(evidence.get(name) ?? utf8("")));
  if (before === undefined || after === undefined) throw new Error("a checkpoint is missing");
  for (const checkpoint of [before, after])
    expect(await verifyCheckpoint(checkpoint, honest.trust)).toMatchObject({ ok: true });
  const [first, second] = before.size <= after.size ? [before, after] : [after, before];
  const request = parseUtf8(evidence.get("consistency-proof") ?? utf8("")) ?? "";
  const [old, ...lines] = request.slice(0, request.indexOf("\n\n")).split("\n");
  expect(old).toBe(`old ${first.size}`);
  expect(parseCheckpoint(utf8(request.slice(request.indexOf("\n\n") + 2)))).toMatchObject({ size: second.size });
  const proof = lines.map((line) => parseBase64(line) ?? utf8(""));
  expect(verifyConsistency(first.size, second.size, first.root, second.root, proof)).toBe(false);
  // The proof is the second tree's own, and so it leads to that tree's root: it is the first one that is another.
  const log = [honest, forked].find((one) => hex(one.root(second.size)) === hex(second.root));
  if (log !== undefined)
    expect(verifyConsistency(first.size, second.size, log.root(first.size), second.root, proof)).toBe(true);
}

test("a log that grows is followed from any size to any other", async () => {
  for (const size of [0, 1, 255, 256, 257, 700])
    for (const next of [size, 700, 900]) {
      const look = await follow(sourceOf(filesAt(honest, next)), signed(honest, size));
      expect(look).toMatchObject({ ok: true, accepted: { checkpoint: { size: next }, timeSeconds: NOW_SECONDS } });
    }
});

describe("a log that forks is found, whichever of its trees was seen first", () => {
  const orders = (): [string, LogInMemory, LogInMemory][] => [
    ["the honest one", honest, forked],
    ["the forged one", forked, honest],
  ];
  test.each([
    [700, 900],
    [512, 513],
    [FORKED_AT + 1, 900],
    [700, 700],
  ])("at %i, then at %i", async (size, next) => {
    for (const [name, first, second] of orders()) {
      const alarm = await alarmOf(sourceOf(filesAt(second, next)), signed(first, size));
      expect(alarm.kind, name).toBe("fork");
      await expectProved(alarm, ["checkpoint-earlier", "checkpoint-served"]);
    }
  });

  test("but two that begin alike are one log until they part", async () => {
    expect(await follow(sourceOf(filesAt(forked, 900)), signed(honest, FORKED_AT))).toMatchObject({ ok: true });
  });

  test("behind tiles of the other tree, too", async () => {
    const files = tampered(filesAt(honest, 900), "checkpoint", () => signed(forked, 900).bytes);
    expect(await alarmOf(sourceOf(files), signed(honest, 700))).toMatchObject({ kind: "tiles" });
    expect(await alarmOf(sourceOf(files))).toMatchObject({ kind: "tiles" });
  });
});

test("a log that shrinks is an alarm, though the shorter tree is one that it had", async () => {
  const alarm = await alarmOf(sourceOf(filesAt(honest, 300)), signed(honest, 301));
  expect(alarm.kind).toBe("shrunk");
  expect([...alarm.evidence.keys()]).toEqual(["checkpoint-earlier", "checkpoint-served"]);
});

test("a checkpoint by another key, of another log or without a time is an alarm", async () => {
  const files = filesAt(honest, 300);
  const thief = trustInLog(fixedNoteSigner(honest.key.name, "thief").key);
  const other = trustInLog(fixedNoteSigner("another.example").key);
  for (const trust of [thief, other])
    expect(await followLog(sourceOf(files), { trust })).toMatchObject({ ok: false, alarm: { kind: "signature" } });
});

test("a new entry that does not hash to its tile is an alarm, and one that was seen before is not looked at again", async () => {
  const bundle = (index: number) => tilePath({ level: "entries", index, width: index < 3 ? TILE_WIDTH : 132 });
  for (const index of [2, 3]) {
    const files = tampered(filesAt(honest, 900), bundle(index), flip(9));
    const alarm = await alarmOf(sourceOf(files), signed(honest, 600));
    expect(alarm).toMatchObject({ kind: "entries", detail: expect.stringContaining(bundle(index)) });
    expect([...alarm.evidence.keys()]).toContain(bundle(index).replaceAll("/", "-"));
  }
  const old = tampered(filesAt(honest, 900), bundle(0), flip(9));
  expect(await follow(sourceOf(old), signed(honest, 600))).toMatchObject({ ok: true });
});

test("what is missing or no checkpoint at all proves nothing, and is no alarm", async () => {
  const files = filesAt(honest, 900);
  for (const path of [
    tilePath({ level: 0, index: 3, width: 132 }),
    tilePath({ level: "entries", index: 3, width: 132 }),
  ])
    await expect(follow(sourceOf(tampered(files, path)), signed(honest, 600))).rejects.toThrow(/has no tile/);
  const portal = tampered(files, "checkpoint", () => utf8("<html>Please log in</html>"));
  await expect(follow(sourceOf(portal), signed(honest, 600))).rejects.toThrow(/what is served as the checkpoint/);
});

describe("a witness", () => {
  const URL = "https://witness.example/w";
  const paths: string[] = [];
  const watch = (answers: (Uint8Array | undefined)[]) =>
    watchWitness(URL, {
      fetch: async (url) => {
        paths.push(url);
        const bytes = answers.length > 1 ? answers.shift() : answers[0];
        return bytes === undefined ? new Response("", { status: 404 }) : new Response(bytes as BodyInit);
      },
    });

  async function compare(witness: ReturnType<typeof watch>, source: LogSource) {
    const look = await follow(source);
    if (!look.ok) throw new Error("the log alone is in order");
    return witness.compare(look.accepted, source, honest.trust);
  }

  test("is asked under the hash of the log's origin, and agrees on the same tree, a shorter and a longer one", async () => {
    for (const size of [0, 1, 600, 700, 900]) {
      const files = new Map([...filesAt(honest, 900), ...filesAt(honest, 700)]);
      expect(await compare(watch([signed(honest, size).bytes]), sourceOf(files)), String(size)).toEqual({
        outcome: "agrees",
      });
    }
    expect(paths.at(-1)).toBe(`${URL}/${hex(sha256(utf8(honest.key.name)))}/checkpoint`);
  });

  test.each([
    ["the witness saw the forged tree", () => [honest, forked] as const],
    ["the witness saw the honest tree", () => [forked, honest] as const],
  ])("gives a split view away: %s", async (_, pick) => {
    const [shown, cosigned] = pick();
    for (const size of [FORKED_AT + 1, 699, 700]) {
      const compared = await compare(watch([signed(cosigned, size).bytes]), sourceOf(filesAt(shown, 700)));
      if (compared.outcome !== "alarm") throw new Error(`no alarm at ${size}`);
      expect(compared.alarm.kind).toBe("split");
      await expectProved(compared.alarm, ["checkpoint-witness", "checkpoint-served"]);
    }
    const longer = new Map([...filesAt(shown, 900), ...filesAt(shown, 700)]);
    const ahead = await compare(watch([signed(cosigned, 900).bytes]), sourceOf(longer));
    expect(ahead).toMatchObject({ outcome: "alarm", alarm: { kind: "split" } });
  });

  test("that is ahead is held to the log once that is as long, whatever it says then", async () => {
    const witness = watch([signed(forked, 800).bytes, undefined]);
    const first = await compare(witness, sourceOf(filesAt(honest, 700)));
    expect(first).toMatchObject({ outcome: "unknown", reason: expect.stringMatching(/800 entries/) });
    const second = await compare(witness, sourceOf(filesAt(honest, 900)));
    expect(second).toMatchObject({ outcome: "alarm", alarm: { kind: "split" } });
  });

  test("with nothing that the log signed says nothing", async () => {
    const strange = concat(signed(honest, 700).bytes.slice(0, -8), utf8("AAAAAA=\n"));
    const unsigned = utf8(
      honest.checkpointFile(NOW_SECONDS, 700).replace(/\n\n[^\n]*\n[^\n]*\n$/, "\n\n— x AAAAAAAA\n"),
    );
    for (const bytes of [undefined, utf8("hello"), strange, unsigned])
      expect(await compare(watch([bytes]), sourceOf(filesAt(honest, 700)))).toMatchObject({ outcome: "unknown" });
  });
});

test("a proof for each entry, and between each two sizes, is right at a few sizes", async () => {
  for (const size of [1, 2, 255, 256, 257, 600]) {
    const log = numberedLog(size);
    const tree = await openTree(sourceOf(filesOf(log, NOW_SECONDS)), { origin: "x", size, root: log.root() });
    for (let index = 0; index < size; index += size > 2 ? 23 : 1)
      expect(await tree.inclusionProof(index)).toEqual(log.inclusionHashes(index, size));
    for (let first = 1; first <= size; first += 29) {
      const proof = await tree.consistencyProof(first);
      expect(verifyConsistency(first, size, log.root(first), log.root(), proof)).toBe(true);
      expect(await tree.rootAt(first)).toEqual(log.root(first));
    }
  }
});
