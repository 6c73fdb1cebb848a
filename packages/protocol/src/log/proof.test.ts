import fc from "fast-check";
import { expect, test } from "vitest";
import { LogInMemory } from "../../../../test/log-in-memory.ts";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { parseHex, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { LOG_PROOF_SIZE_BYTES, NOTE_SIZE_BYTES, PROOF_HASHES } from "../limits.ts";
import { leafHash } from "./merkle.ts";
import { encodeLogProof, type LogProof, parseLogProof, proves } from "./proof.ts";

type ProofVector = Vector & { proof: string; entry: string; index: number; failure?: "malformed" | "not_in_log" };
const vectors = readVectors<ProofVector>("log/proofs.json");

test.each(vectors)("$desc", ({ proof, entry, index, failure, wantErr }) => {
  if (failure === "malformed") {
    expect(() => parseLogProof(proof)).toThrow(Malformed);
    return;
  }
  const parsed = parseLogProof(proof);
  expect(proves(parsed, parseHex(entry) ?? new Uint8Array(0))).toBe(!wantErr);
  expect(parsed.index).toBe(index);
  expect(encodeLogProof(parsed.index, parsed.hashes, parsed.checkpoint.note)).toBe(proof);
});

const log = new LogInMemory();
for (const name of ["a", "b", "c", "d", "e"]) log.append(utf8(name));

test("each entry of a log is proved by its own proof and by no other", () => {
  const proofs = log.entries.map((_, index) => parseLogProof(log.prove(index, 0)));
  for (const [index, entry] of log.entries.entries())
    expect(proofs.map((proof) => proves(proof, entry))).toEqual(log.entries.map((_, other) => other === index));
});

test("a proof has at most 63 hashes", () => {
  const lineOf = (count: number) =>
    encodeLogProof(
      0,
      Array.from({ length: count }, () => leafHash(utf8("x"))),
      log.checkpoint(0),
    );
  expect(parseLogProof(lineOf(PROOF_HASHES)).hashes).toHaveLength(PROOF_HASHES);
  expect(() => parseLogProof(lineOf(PROOF_HASHES + 1))).toThrow("64 hashes");
});

test("a proof with any letter changed proves nothing, or its checkpoint is another", () => {
  const text = log.prove(3, 0);
  const { root, size } = parseLogProof(text).checkpoint;
  for (let at = 0; at < text.indexOf("\n\n"); at++)
    for (const letter of "AB01/+= \n") {
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      let parsed: LogProof;
      try {
        parsed = parseLogProof(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
        continue;
      }
      if (changed === text) continue;
      const same = parsed.checkpoint.size === size && parsed.checkpoint.root.every((byte, i) => byte === root[i]);
      if (same && proves(parsed, utf8("d"))) expect.fail(`letter ${at} may be ${letter}`);
    }
});

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });

test("every proof is read as it was written", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.array(hash, { maxLength: PROOF_HASHES }), (index, hashes) => {
      const parsed = parseLogProof(encodeLogProof(index, hashes, log.checkpoint(0)));
      expect([parsed.index, parsed.hashes, parsed.checkpoint.note]).toEqual([index, hashes, log.checkpoint(0)]);
    }),
    RUNS,
  );
});

test("any text is a proof, written in one way, or malformed", () => {
  const written = log.prove(3, 0);
  const mutated = fc
    .tuple(fc.nat(written.length - 1), fc.string({ unit: "binary", minLength: 1, maxLength: 1 }))
    .map(([at, letter]) => written.slice(0, at) + letter + written.slice(at + 1));
  const moved = fc.shuffledSubarray(written.split("\n"), { minLength: 1 }).map((lines) => lines.join("\n"));
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), mutated, moved), (text) => {
      try {
        const { index, hashes, checkpoint } = parseLogProof(text);
        expect(encodeLogProof(index, hashes, checkpoint.note)).toBe(text);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { ...RUNS, numRuns: RUNS.numRuns * 10 },
  );
});

test("a proof with a checkpoint of the largest size and 63 hashes is read, and a longer text is not looked into", () => {
  const { text, signatures } = log.checkpoint(0);
  const [line] = signatures;
  if (line === undefined) return expect.fail("a checkpoint has a signature");
  const long = { ...line, signature: new Uint8Array(4 + 3 * 32_000) };
  const proof = encodeLogProof(
    2 ** 53 - 1,
    Array.from({ length: PROOF_HASHES }, () => log.root()),
    { text, signatures: [long] },
  );
  expect(proof.length).toBeGreaterThan(NOTE_SIZE_BYTES - 5_000);
  expect(parseLogProof(proof).hashes).toHaveLength(PROOF_HASHES);
  expect(() => parseLogProof("\n".repeat(LOG_PROOF_SIZE_BYTES + 1))).toThrow("135169 characters");
});
