import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedMlDsaKey, fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { NOTE_SIGNATURES, NOTE_SIZE_BYTES } from "../limits.ts";
import {
  cosignatureTimes,
  createNoteKey,
  encodeNote,
  encodeNoteKey,
  type Note,
  noteKeyId,
  parseNote,
  parseNoteKey,
  verifyNote,
} from "./note.ts";

const keys = readVectors<Vector & { vkey: string; name?: string; type?: string }>("log/vkeys.json");
type NoteVector = Vector & { note: string; vkeys: string[]; text?: string; holds?: string[]; failure?: string };
const notes = readVectors<NoteVector>("log/notes.json");

test.each(keys.filter(({ wantErr }) => !wantErr))("$desc: $vkey", ({ vkey, name, type }) => {
  expect(parseNoteKey(vkey)).toMatchObject({ name, type });
  expect(encodeNoteKey(parseNoteKey(vkey))).toBe(vkey);
});

test.each(keys.filter(({ wantErr }) => wantErr))("$desc is no vkey: $vkey", ({ vkey }) => {
  expect(() => parseNoteKey(vkey)).toThrow(Malformed);
});

test.each(notes)("$desc", async ({ note, text, vkeys, holds, failure }) => {
  if (failure === "malformed") {
    expect(() => parseNote(utf8(note))).toThrow(Malformed);
    return;
  }
  const parsed = parseNote(utf8(note));
  expect([parsed.text, encodeNote(parsed)]).toEqual([text, note]);
  const verified = await verifyNote(parsed, vkeys.map(parseNoteKey));
  expect(verified?.map(({ key }) => encodeNoteKey(key))).toEqual(failure === undefined ? holds : undefined);
});

test("a vkey with any letter changed is refused or is another key", () => {
  const { key } = fixedNoteSigner("log.example");
  const vkey = encodeNoteKey(key);
  for (let i = 0; i < vkey.length; i++)
    for (const letter of "A+/=z0 \n") {
      const changed = vkey.slice(0, i) + letter + vkey.slice(i + 1);
      if (changed === vkey) continue;
      expect(() => parseNoteKey(changed), changed).toThrow(Malformed);
    }
});

const signer = fixedNoteSigner("log.example");
const other = fixedNoteSigner("witness.example");
const TEXT = "log.example\n1\nhello\n";

test("a signature by an unknown key is ignored, and one by a known key that does not hold refuses the note", async () => {
  const note: Note = { text: TEXT, signatures: [signer.sign(TEXT), other.sign("something else\n")] };
  expect(await verifyNote(note, [signer.key])).toEqual([{ key: signer.key }]);
  expect(await verifyNote(note, [signer.key, other.key])).toBeUndefined();
  expect(await verifyNote(note, [])).toEqual([]);
});

test("a key is known by its name and its id together", async () => {
  const { signature, id } = signer.sign(TEXT);
  const renamed = { text: TEXT, signatures: [{ name: "other.example", id, signature }] };
  expect(await verifyNote(renamed, [signer.key])).toEqual([]);
  const unnumbered = { text: TEXT, signatures: [{ name: signer.key.name, id: other.key.id, signature }] };
  expect(await verifyNote(unnumbered, [signer.key])).toEqual([]);
});

test("a signature of another length than its key's refuses the note", async () => {
  const { name, id, signature } = signer.sign(TEXT);
  for (const wrong of [signature.subarray(1), new Uint8Array([...signature, 0]), new Uint8Array(72)])
    expect(
      await verifyNote({ text: TEXT, signatures: [{ name, id, signature: wrong }] }, [signer.key]),
    ).toBeUndefined();
});

test("a cosignature holds for its own time and text alone", async () => {
  const key = createNoteKey("log.example", "cosignature", signer.key.publicKey);
  const line = signer.cosign(TEXT, 1_795_348_800);
  expect(await verifyNote({ text: TEXT, signatures: [line] }, [key])).toEqual([{ key, timeSeconds: 1_795_348_800 }]);
  expect(cosignatureTimes({ text: TEXT, signatures: [line, signer.sign(TEXT)] }, "log.example")).toEqual([
    1_795_348_800,
  ]);
  expect(cosignatureTimes({ text: TEXT, signatures: [line] }, "other.example")).toEqual([]);
  const later = { ...line, signature: line.signature.with(7, (line.signature[7] ?? 0) ^ 1) };
  expect(await verifyNote({ text: TEXT, signatures: [later] }, [key])).toBeUndefined();
  expect(await verifyNote({ text: `${TEXT}more\n`, signatures: [line] }, [key])).toBeUndefined();
});

test("a cosignature after 2106 holds to the second, up to 2^63 - 1, and has no time", async () => {
  const key = createNoteKey("log.example", "cosignature", signer.key.publicKey);
  for (const timeSeconds of [2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n]) {
    const line = signer.cosign(TEXT, timeSeconds);
    const note = { text: TEXT, signatures: [line] };
    expect(await verifyNote(note, [key])).toEqual([{ key }]);
    expect(cosignatureTimes(note, "log.example")).toEqual([]);
    const earlier = { ...line, signature: line.signature.with(7, (line.signature[7] ?? 0) ^ 1) };
    expect(await verifyNote({ text: TEXT, signatures: [earlier] }, [key])).toBeUndefined();
  }
  const over = { text: TEXT, signatures: [signer.cosign(TEXT, 2n ** 63n)] };
  expect(await verifyNote(over, [key])).toBeUndefined();
});

test("a key of ML-DSA-44 reads and writes as a vkey, and its lines are as an unknown key's", async () => {
  const key = fixedMlDsaKey("witness.example/quantum");
  expect(parseNoteKey(encodeNoteKey(key))).toEqual(key);
  expect(key.id).toEqual(noteKeyId(key.name, "ml-dsa-44", key.publicKey));
  expect(() => createNoteKey(key.name, "ml-dsa-44", key.publicKey.subarray(1))).toThrow("1311 bytes");
  expect(() => createNoteKey(key.name, "cosignature", key.publicKey)).toThrow("1312 bytes");
  const line = (length: number) => ({ name: key.name, id: key.id, signature: new Uint8Array(length).fill(1) });
  const note = { text: TEXT, signatures: [line(2428), line(1), line(64), signer.sign(TEXT)] };
  expect(await verifyNote(note, [key, signer.key])).toEqual([{ key: signer.key }]);
  expect(await verifyNote(note, [key])).toEqual([]);
});

test("a checkpoint that sixteen witnesses cosigned with 5 kB each is read, and one with 32 lines of ML-DSA-44", () => {
  const lines = (count: number, length: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...other.sign(TEXT),
      name: `witness.example/${i}`,
      signature: new Uint8Array(length),
    }));
  for (const signatures of [lines(16, 5000), lines(32, 2428)])
    expect(parseNote(utf8(encodeNote({ text: TEXT, signatures }))).signatures).toHaveLength(signatures.length);
});

test("a note has at most 64 signatures and 128 KiB", () => {
  const line = signer.sign(TEXT);
  const noteOf = (count: number) =>
    utf8(encodeNote({ text: TEXT, signatures: Array.from({ length: count }, () => line) }));
  expect(parseNote(noteOf(NOTE_SIGNATURES)).signatures).toHaveLength(NOTE_SIGNATURES);
  expect(() => parseNote(noteOf(NOTE_SIGNATURES + 1))).toThrow("65 signatures");
  const ofSize = (size: number) => {
    const rest = encodeNote({ text: "\n", signatures: [line] });
    return utf8("x".repeat(size - utf8(rest).length) + rest);
  };
  expect(parseNote(ofSize(NOTE_SIZE_BYTES)).signatures).toHaveLength(1);
  expect(() => parseNote(ofSize(NOTE_SIZE_BYTES + 1))).toThrow("131073 bytes");
});

const line = fc.record({
  name: fc
    .string({ unit: "binary", minLength: 1 })
    .filter((name) => /^[^\p{White_Space}\p{Cc}\p{Surrogate}+]+$/u.test(name)),
  id: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  signature: fc.uint8Array({ minLength: 1, maxLength: 100 }),
});
const noteText = fc
  .array(
    fc.string({ unit: "binary" }).map((text) => text.replace(/[\p{Cc}\p{Surrogate}]/gu, "")),
    { minLength: 1, maxLength: 6 },
  )
  .map((lines) => `${lines.join("\n")}\n`);

test("every note is read as it was written, empty lines and spaces of Unicode in its text too", () => {
  fc.assert(
    fc.property(noteText, fc.array(line, { minLength: 1, maxLength: 20 }), (text, signatures) => {
      const note = { text, signatures };
      expect(parseNote(utf8(encodeNote(note)))).toEqual(note);
    }),
    RUNS,
  );
});

test("any bytes are a note, written in one way, or malformed", () => {
  const written = fc
    .tuple(noteText, fc.array(line, { minLength: 1, maxLength: 3 }))
    .map(([text, signatures]) => utf8(encodeNote({ text, signatures })));
  const mutated = fc
    .tuple(written, fc.nat(), fc.nat(255))
    .map(([bytes, at, byte]) => bytes.with(at % bytes.length, byte));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), written, mutated), (bytes) => {
      try {
        expect(utf8(encodeNote(parseNote(bytes)))).toEqual(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { ...RUNS, numRuns: RUNS.numRuns * 10 },
  );
});
