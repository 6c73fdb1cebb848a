import fc from "fast-check";
import { expect, test } from "vitest";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { base64, concat, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { ADD_CHECKPOINT_SIZE_BYTES, NOTE_SIGNATURES, NOTE_SIZE_BYTES, PROOF_HASHES } from "../limits.ts";
import { encodeNote, signatureLine } from "./note.ts";
import {
  encodeAddCheckpoint,
  encodeCosignatures,
  encodeCosignedSize,
  parseAddCheckpoint,
  parseCosignatures,
  parseCosignedSize,
} from "./witness.ts";

const log = new LogInMemory();
for (let i = 0; i < 9; i++) log.append(utf8(`entry ${i}`));
const request = log.witnessRequest(3, 9);
const note = encodeNote(request.note);
const hash = base64(log.root());

test("a request is an old size line, the proof's hashes, an empty line and the checkpoint, as the specification has it", () => {
  const text = [`old 3`, ...request.proof.map(base64), "", note].join("\n");
  expect(request.proof).toHaveLength(5);
  expect(encodeAddCheckpoint(request)).toEqual(utf8(text));
  const { oldSize, proof, checkpoint } = parseAddCheckpoint(utf8(text));
  expect({ oldSize, proof, note: encodeNote(checkpoint.note) }).toEqual({ ...request, note });
  expect(checkpoint).toMatchObject({ origin: log.key.name, size: 9, root: log.root() });
});

test("a proof may be empty, and may have 63 hashes", () => {
  const parse = (count: number) =>
    parseAddCheckpoint(encodeAddCheckpoint({ ...request, proof: Array.from({ length: count }, () => log.root()) }));
  for (const count of [0, 1, PROOF_HASHES]) expect(parse(count).proof).toHaveLength(count);
  expect(() => parse(PROOF_HASHES + 1)).toThrow("a proof of 64 hashes; at most 63");
});

const malformed: [why: string, body: string][] = [
  ["nothing", ""],
  ["a checkpoint alone", note],
  ["no checkpoint", "old 3\n\n"],
  ["no empty line", `old 3\n${note}`],
  ["an empty line too many", `old 3\n\n\n${note}`],
  ["an empty line before the old size", `\nold 3\n\n${note}`],
  ["an empty line in the proof", `old 3\n${hash}\n\n${hash}\n\n${note}`],
  ["no old size", `old \n\n${note}`],
  ["two spaces", `old  3\n\n${note}`],
  ["a space after the size", `old 3 \n\n${note}`],
  ["a tab", `old\t3\n\n${note}`],
  ["capitals", `OLD 3\n\n${note}`],
  ["lines ended by CR LF", `old 3\r\n\r\n${note}`],
  ["a leading zero", `old 03\n\n${note}`],
  ["zero written twice", `old 00\n\n${note}`],
  ["a plus", `old +3\n\n${note}`],
  ["a minus", `old -3\n\n${note}`],
  ["hex", `old 0x3\n\n${note}`],
  ["a fraction", `old 3.0\n\n${note}`],
  ["an exponent", `old 3e0\n\n${note}`],
  ["digits of another script", `old ٣\n\n${note}`],
  ["more than can be counted", `old ${2 ** 53}\n\n${note}`],
  ["a size of twenty digits", `old 18446744073709551615\n\n${note}`],
  ["a hash of 31 bytes", `old 3\n${base64(log.root().subarray(1))}\n\n${note}`],
  ["a hash of 33 bytes", `old 3\n${base64(concat(log.root(), Uint8Array.of(0)))}\n\n${note}`],
  ["a hash without padding", `old 3\n${hash.slice(0, -1)}\n\n${note}`],
  ["a hash with a bit left over", `old 3\n${hash.slice(0, -2)}t=\n\n${note}`],
  ["a hash in the alphabet of URLs", `old 3\n${"_".repeat(43)}=\n\n${note}`],
  ["a space before a hash", `old 3\n ${hash}\n\n${note}`],
  ["a checkpoint without a signature", `old 3\n\n${request.note.text}\n`],
  ["a checkpoint that does not end", `old 3\n\n${note.slice(0, -1)}`],
  ["something after the checkpoint", `old 3\n\n${note}more`],
  ["a control character", `old 3\n\n${note.replace("log.example", "log\u0000example")}`],
];

test.each(malformed)("a request with %s is malformed", (_, body) => {
  expect(() => parseAddCheckpoint(utf8(body))).toThrow(Malformed);
});

test("a request over the limit is not looked at", () => {
  expect(() => parseAddCheckpoint(new Uint8Array(ADD_CHECKPOINT_SIZE_BYTES + 1))).toThrow("bytes; at most");
  expect(ADD_CHECKPOINT_SIZE_BYTES - NOTE_SIZE_BYTES).toBe(`old ${2 ** 53 - 1}\n`.length + 63 * 45 + 1);
});

test("bytes that are a request are the only spelling of what they say", () => {
  const bytes = encodeAddCheckpoint(request);
  const changed = fc
    .tuple(fc.nat(bytes.length), fc.nat(2), fc.uint8Array({ maxLength: 2 }))
    .map(([at, skip, put]) => concat(bytes.subarray(0, at), put, bytes.subarray(at + skip)));
  fc.assert(
    fc.property(changed, (body) => {
      let parsed: ReturnType<typeof parseAddCheckpoint>;
      try {
        parsed = parseAddCheckpoint(body);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
        return;
      }
      expect(encodeAddCheckpoint({ ...parsed, note: parsed.checkpoint.note })).toEqual(body);
    }),
    { numRuns: 2_000 },
  );
});

const cosignature = log.signer.cosign(request.note.text, 1_795_000_000);

test("cosignatures are signature lines and nothing else", () => {
  const line = signatureLine(cosignature);
  expect(encodeCosignatures([cosignature, cosignature])).toBe(line + line);
  expect(parseCosignatures(utf8(line + line))).toEqual([cosignature, cosignature]);
  const most = Array.from({ length: NOTE_SIGNATURES }, () => cosignature);
  expect(parseCosignatures(utf8(encodeCosignatures(most)))).toEqual(most);
  const bad = [
    "",
    "\n",
    line.slice(0, -1),
    `${line}\n`,
    `\n${line}`,
    `${line}\n${line}`,
    `text\n\n${line}`,
    line.replace("—", "-"),
    line.replace("log.example", "log.\u0007example"),
    line + encodeCosignatures(most),
    line.repeat(1 + NOTE_SIZE_BYTES / line.length),
  ];
  for (const text of bad) expect(() => parseCosignatures(utf8(text)), JSON.stringify(text)).toThrow(Malformed);
});

test("the size in a conflict is a decimal on a line of its own", () => {
  for (const size of [0, 1, 15, 2 ** 53 - 1]) expect(parseCosignedSize(utf8(encodeCosignedSize(size)))).toBe(size);
  for (const text of ["", "\n", "1", "01\n", "1\n\n", "1\r\n", " 1\n", "-1\n", "1.0\n", `${2 ** 53}\n`, "1\n2\n"])
    expect(() => parseCosignedSize(utf8(text)), JSON.stringify(text)).toThrow(Malformed);
});
