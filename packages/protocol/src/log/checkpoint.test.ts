import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { LogInMemory, ORIGIN_IN_MEMORY } from "../../../../test/log-in-memory.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { hex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { checkpointText, encodeCheckpoint, parseCheckpoint } from "./checkpoint.ts";
import { createNoteKey, encodeNote, parseNote, parseNoteKey } from "./note.ts";
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
  const cosigners = witnesses.map(({ key }) => createNoteKey(key.name, "cosignature", key.publicKey));
  const timeOf = async (times: number[]) => {
    const lines = times.flatMap((timeSeconds, i) => witnesses[i]?.cosign(text, timeSeconds) ?? []);
    const note = parseNote(utf8(encodeNote({ text, signatures: [log.signer.sign(text), ...lines] })));
    const outcome = await verifyCheckpoint(
      { origin: ORIGIN_IN_MEMORY, size: 1, root: log.root(), note },
      { logKey: log.key, cosigners },
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
