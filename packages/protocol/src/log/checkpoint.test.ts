import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory, ORIGIN_IN_MEMORY } from "../../../../test/log-in-memory.ts";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { hex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { checkpointText, encodeCheckpoint, parseCheckpoint, parseForeignCheckpoint } from "./checkpoint.ts";
import { createNoteKey, encodeNote, encodeNoteKey, parseNote, parseNoteKey, verifyNote } from "./note.ts";
import { parsePolicy } from "./policy.ts";
import { trustInLog, verifyCheckpoint } from "./trust.ts";

type CheckpointVector = Vector & {
  checkpoint: string;
  vkey: string;
  origin?: string;
  size?: number;
  root?: string;
  timeSeconds?: number;
  failure?: string;
};
const vectors = readVectors<CheckpointVector>("log/checkpoints.json");

test.each(vectors)("$desc", async ({ checkpoint, vkey, wantErr, failure, timeSeconds, origin, size, root }) => {
  const verify = async () => verifyCheckpoint(parseCheckpoint(utf8(checkpoint)), trustInLog(parseNoteKey(vkey)));
  if (failure === "malformed") await expect(verify()).rejects.toThrow(Malformed);
  else if (wantErr) expect(await verify()).toEqual({ ok: false, failure });
  else {
    expect(await verify()).toEqual({ ok: true, timeSeconds });
    const parsed = parseCheckpoint(utf8(checkpoint));
    expect([parsed.origin, parsed.size, hex(parsed.root)]).toEqual([origin, size, root]);
    expect(encodeCheckpoint(encodeNote(parsed.note))).toEqual(utf8(checkpoint));
  }
});

test.each(vectors)(
  "a witness reads it as its log does, but for extension lines: $desc",
  ({ desc, checkpoint, failure }) => {
    const parse = () => parseForeignCheckpoint(utf8(checkpoint));
    if (desc === "an extension line") expect(parse().extensions).toEqual(["an extension"]);
    else if (failure === "malformed") expect(parse).toThrow(Malformed);
    else expect(parse()).toEqual({ ...parseCheckpoint(utf8(checkpoint)), extensions: [] });
  },
);

const log = new LogInMemory();
log.append(utf8("an entry"));
const NOON = Date.UTC(2026, 10, 22, 12) / 1000;
const verified = async (bytes: Uint8Array) => {
  try {
    return (await verifyCheckpoint(parseCheckpoint(bytes), log.trust)).ok;
  } catch (error) {
    expect(error).toBeInstanceOf(Malformed);
    return false;
  }
};

test("a checkpoint with any byte changed is not verified", async () => {
  const bytes = utf8(encodeNote(log.checkpoint(NOON)));
  expect(await verified(bytes)).toBe(true);
  for (let at = 0; at < bytes.length; at++)
    for (const change of [0x01, 0x20, 0x80]) {
      const changed = bytes.with(at, (bytes[at] ?? 0) ^ change);
      if (await verified(changed)) expect.fail(`byte ${at} may change by ${change}`);
    }
});

test("a checkpoint with any byte left out or put in is not verified", async () => {
  const bytes = utf8(encodeNote(log.checkpoint(NOON)));
  for (let at = 0; at < bytes.length; at++) {
    if (await verified(new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + 1)])))
      expect.fail(`byte ${at} may be left out`);
    if (await verified(new Uint8Array([...bytes.subarray(0, at), 0x0a, ...bytes.subarray(at)])))
      expect.fail(`a newline may be put before byte ${at}`);
  }
});

test("both of the log's lines are needed: the signature and the cosignature that says when", async () => {
  const { text, signatures } = log.checkpoint(NOON);
  const [signature, cosignature] = signatures;
  const verify = (lines: typeof signatures) =>
    verifyCheckpoint(parseCheckpoint(utf8(encodeNote({ text, signatures: lines }))), log.trust);
  expect(await verify(signature ? [signature] : [])).toEqual({ ok: false, failure: "not_cosigned" });
  expect(await verify(cosignature ? [cosignature] : [])).toEqual({ ok: false, failure: "unsigned" });
});

test("the time of a checkpoint is the lower median of its cosigners', one each", async () => {
  const text = checkpointText({ origin: ORIGIN_IN_MEMORY, size: 1, root: log.root() });
  const witnesses = ["a", "b", "c", "d"].map((name) => fixedNoteSigner(`witness.example/${name}`));
  const lines = witnesses.map(
    ({ key }, i) => `witness w${i} ${encodeNoteKey(createNoteKey(key.name, "cosignature", key.publicKey))}\n`,
  );
  const policy = parsePolicy(utf8(`${lines.join("")}group any any w0 w1 w2 w3\nquorum any\n`));
  const timeOf = async (times: number[]) => {
    const lines = times.flatMap((timeSeconds, i) => witnesses[i]?.cosign(text, timeSeconds) ?? []);
    const note = parseNote(utf8(encodeNote({ text, signatures: [log.signer.sign(text), ...lines] })));
    const outcome = await verifyCheckpoint(
      { origin: ORIGIN_IN_MEMORY, size: 1, root: log.root(), note },
      trustInLog(log.key, policy),
    );
    return outcome.ok ? outcome.timeSeconds : outcome.failure;
  };
  expect(await timeOf([50])).toBe(50);
  expect(await timeOf([50, 20])).toBe(20);
  expect(await timeOf([50, 20, 90])).toBe(50);
  expect(await timeOf([50, 20, 90, 60])).toBe(50);
  expect(await timeOf([])).toBe("not_cosigned");
});

test("a cosignature by somebody who is not asked does not say when", async () => {
  const { text, signatures } = log.checkpoint(NOON);
  const stranger = fixedNoteSigner("stranger.example").cosign(text, NOON);
  const note = parseNote(utf8(encodeNote({ text, signatures: [signatures[0] ?? stranger, stranger] })));
  const outcome = await verifyCheckpoint({ ...parseCheckpoint(utf8(encodeNote(note))) }, log.trust);
  expect(outcome).toEqual({ ok: false, failure: "not_cosigned" });
});

test("the extension lines of another log are in the text that its witness cosigns, and our own log has none", async () => {
  const text = `${checkpointText({ origin: "a log+with a space", size: 7, root: log.root() })}one\n two \n`;
  const bytes = utf8(encodeNote({ text, signatures: [log.signer.sign(text), log.signer.cosign(text, NOON)] }));
  const { extensions, note, origin } = parseForeignCheckpoint(bytes);
  expect([extensions, note.text, origin]).toEqual([["one", " two "], text, "a log+with a space"]);
  expect(await verifyNote(note, [log.key, createNoteKey(log.key.name, "cosignature", log.key.publicKey)])).toHaveLength(
    2,
  );
  expect(() => parseCheckpoint(bytes)).toThrow(Malformed);
});

const PRINTABLE = fc.string({ minLength: 1 });
const head = fc.record({
  origin: PRINTABLE,
  size: fc.maxSafeNat(),
  root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

test("every checkpoint is read as it was written, with the extensions that it has", () => {
  fc.assert(
    fc.property(head, fc.array(PRINTABLE, { maxLength: 3 }), (treeHead, extensions) => {
      const text = checkpointText(treeHead) + extensions.map((line) => `${line}\n`).join("");
      const note = { text, signatures: log.checkpoint(NOON).signatures };
      const bytes = utf8(encodeNote(note));
      expect(parseForeignCheckpoint(bytes)).toEqual({ ...treeHead, note, extensions });
      if (extensions.length === 0) expect(parseCheckpoint(bytes)).toEqual({ ...treeHead, note });
      else expect(() => parseCheckpoint(bytes)).toThrow(Malformed);
    }),
    RUNS,
  );
});

test("any bytes are a checkpoint, written in one way, or malformed", () => {
  const written = utf8(log.checkpointFile(NOON));
  const mutated = fc.tuple(fc.nat(written.length - 1), fc.nat(255)).map(([at, byte]) => written.with(at, byte));
  const lines = fc.array(fc.constantFrom("log", "5", "05", "", "—", `${"A".repeat(43)}=`, "— a AAAAAAA="), {
    maxLength: 7,
  });
  const some = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    mutated,
    lines.map((all) => utf8(`${all.join("\n")}\n`)),
  );
  fc.assert(
    fc.property(some, (bytes) => {
      try {
        const { origin, size, root, note, extensions } = parseForeignCheckpoint(bytes);
        const text = checkpointText({ origin, size, root }) + extensions.map((line) => `${line}\n`).join("");
        expect(utf8(encodeNote({ ...note, text }))).toEqual(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { ...RUNS, numRuns: RUNS.numRuns * 10 },
  );
});
