import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../../test/fixed-keys.ts";
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

test("a cosignature's time after 2106 is no time, though it is signed", async () => {
  const key = createNoteKey("log.example", "cosignature", signer.key.publicKey);
  for (const timeSeconds of [2 ** 32, 9e12, 2 ** 63]) {
    const note = { text: TEXT, signatures: [signer.cosign(TEXT, timeSeconds)] };
    expect(await verifyNote(note, [key])).toBeUndefined();
    expect(cosignatureTimes(note, "log.example")).toEqual([]);
  }
});

test("a note has at most 64 signatures and 16 KiB", () => {
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
  expect(() => parseNote(ofSize(NOTE_SIZE_BYTES + 1))).toThrow("16385 bytes");
});
