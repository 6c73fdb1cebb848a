import fc from "fast-check";
import { expect, test } from "vitest";
import { fixedMlDsaKey, fixedNoteSigner } from "../../../../test/fixed-keys.ts";
import { RUNS } from "../../../../test/runs.ts";
import { readVectors, type Vector } from "../../../../test/vectors.ts";
import { parseBase64, utf8 } from "../bytes.ts";
import { Malformed } from "../cbor/bytes.ts";
import { POLICY_LINES_OF_KIND, POLICY_SIZE_BYTES } from "../limits.ts";
import { checkpointText } from "./checkpoint.ts";
import { createNoteKey, encodeNoteKey, type NoteKey, verifyNote } from "./note.ts";
import { isQuorum, type PolicyLog, type PolicyWitness, parsePolicy, type Quorum } from "./policy.ts";

type QuorumJson = string | { threshold: number; members: QuorumJson[] };
type PolicyVector = Vector & {
  policy: string;
  line?: number;
  logs: object[];
  witnesses: object[];
  quorum: QuorumJson;
  cases: { by: string[]; is: boolean }[];
};
const vectors = readVectors<PolicyVector>("log/policies.json");
const bytesOf = ({ policy }: PolicyVector) => parseBase64(policy) ?? new Uint8Array(0);

const jsonOf = ({ key, ...rest }: PolicyLog | PolicyWitness) => ({ ...rest, vkey: encodeNoteKey(key) });
function quorumJson(quorum: Quorum): QuorumJson {
  if (quorum.kind === "none") return "none";
  if (quorum.kind === "witness") return quorum.witness.name;
  return { threshold: quorum.threshold, members: quorum.members.map(quorumJson) };
}

test.each(vectors.filter(({ wantErr }) => !wantErr))("$desc", (vector) => {
  const { logs, witnesses, quorum } = parsePolicy(bytesOf(vector));
  expect([logs.map(jsonOf), witnesses.map(jsonOf)]).toEqual([vector.logs, vector.witnesses]);
  expect(quorumJson(quorum)).toEqual(vector.quorum);
  for (const { by, is } of vector.cases) {
    const keys = witnesses.filter(({ name }) => by.includes(name)).map(({ key }) => key);
    expect(
      isQuorum(quorum, (key) => keys.includes(key)),
      by.join(),
    ).toBe(is);
  }
});

test.each(vectors.filter(({ wantErr }) => wantErr))("$desc is no policy, by line $line", (vector) => {
  const parse = () => parsePolicy(bytesOf(vector));
  expect(parse).toThrow(Malformed);
  if (vector.line) expect(parse).toThrow(new RegExp(`line ${vector.line}\\b`));
  else expect(parse).not.toThrow(/line \d/);
});

const signers = Array.from({ length: POLICY_LINES_OF_KIND + 1 }, (_, i) => fixedNoteSigner(`witness.example/${i}`));
const witnessLines = signers.map(({ key }, i) => {
  return `witness w${i} ${encodeNoteKey(createNoteKey(key.name, "cosignature", key.publicKey))}`;
});
const logLines = signers.map(({ key }) => `log ${encodeNoteKey(key)}`);
const policyOf = (...lines: string[]) => parsePolicy(utf8(lines.map((line) => `${line}\n`).join("")));

test("a policy has at most 64 logs, 64 witnesses and 64 groups, one inside another", () => {
  const groups = signers.map((_, i) => (i === 0 ? "group g0 1 w0" : `group g${i} 1 g${i - 1}`));
  const most = [logLines, witnessLines, groups].map((lines) => lines.slice(0, POLICY_LINES_OF_KIND));
  const { logs, witnesses, quorum } = policyOf(...most.flat(), "quorum g63");
  expect([logs.length, witnesses.length]).toEqual([64, 64]);
  expect(isQuorum(quorum, (key) => key.name === "witness.example/0")).toBe(true);
  expect(isQuorum(quorum, (key) => key.name !== "witness.example/0")).toBe(false);
  expect(() => policyOf(...logLines, "quorum none")).toThrow(
    "line 65 that is one too many: a policy has at most 64 logs",
  );
  expect(() => policyOf(...witnessLines, "quorum none")).toThrow("at most 64 witnesses");
  expect(() => policyOf(...(most[1] ?? []), ...groups, "quorum none")).toThrow("at most 64 groups");
});

test("a policy of 64 logs and 64 witnesses of ML-DSA-44 with long URLs fits, and one of over 256 KiB does not", () => {
  const url = `https://witness.example/${"x".repeat(200)}/`;
  const lines = Array.from({ length: 64 }, (_, i) => {
    return `witness w${i} ${encodeNoteKey(fixedMlDsaKey(`witness.example/${i}`))} ${url}`;
  });
  const logs = logLines.slice(0, 64).map((line) => `${line} ${url}`);
  expect(policyOf(...logs, ...lines, "quorum w63").witnesses).toHaveLength(64);
  const comment = (size: number) => `#${"x".repeat(size - "#\nquorum none\n".length)}`;
  expect(policyOf(comment(POLICY_SIZE_BYTES), "quorum none").quorum).toEqual({ kind: "none" });
  expect(() => policyOf(comment(POLICY_SIZE_BYTES + 1), "quorum none")).toThrow("262145 bytes");
});

test("a witness of ML-DSA-44 is never counted, so a quorum that needs it is not reached", async () => {
  const [one] = signers;
  if (one === undefined) return expect.fail("there is a witness");
  const quantum = fixedMlDsaKey("witness.example/quantum");
  const line = `witness q ${encodeNoteKey(quantum)}`;
  const text = checkpointText({ origin: "log.example", size: 0, root: new Uint8Array(32) });
  const signature = new Uint8Array(8 + 2420).fill(1);
  const signatures = [one.cosign(text, 1), { name: quantum.name, id: quantum.id, signature }];
  const { witnesses, quorum } = policyOf(witnessLines[0] ?? "", line, "group g all w0 q", "quorum g");
  const held = await verifyNote(
    { text, signatures },
    witnesses.map(({ key }) => key),
  );
  expect(held?.map(({ key }) => key.name)).toEqual([one.key.name]);
  const cosigned = (key: NoteKey) => held?.some((some) => some.key === key) ?? false;
  expect(isQuorum(quorum, cosigned)).toBe(false);
  expect(isQuorum(policyOf(witnessLines[0] ?? "", "quorum w0").quorum, () => true)).toBe(true);
});

test("a quorum holds for a set of witnesses exactly when its definition, worked out name by name, says so", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ take: fc.nat(4), k: fc.nat(9) }), { maxLength: 8 }), fc.nat(0xff), (steps, by) => {
      const free = Array.from({ length: 8 }, (_, i) => `w${i}`);
      const holds = new Map(free.map((name, i) => [name, (by & (1 << i)) !== 0]));
      const lines = steps.flatMap(({ take, k }, i) => {
        const names = free.splice(0, take + 1);
        const threshold = 1 + (k % names.length);
        holds.set(`g${i}`, names.filter((name) => holds.get(name)).length >= threshold);
        free.push(`g${i}`);
        return `group g${i} ${threshold === names.length ? "all" : threshold === 1 ? "any" : threshold} ${names.join(" ")}`;
      });
      for (const [name, is] of holds) {
        const { witnesses, quorum } = policyOf(...witnessLines.slice(0, 8), ...lines, `quorum ${name}`);
        const keys = witnesses.filter((witness) => holds.get(witness.name)).map(({ key }) => key);
        expect(isQuorum(quorum, (key) => keys.includes(key))).toBe(is);
      }
    }),
    RUNS,
  );
});

const VALID = utf8(`${[...witnessLines.slice(0, 3), logLines[0], "group g 2 w0 w1 w2", "quorum g"].join("\n")}\n`);

test("spaces, tabs, comments and empty lines change nothing", () => {
  const lines = [...witnessLines.slice(0, 3), logLines[0] ?? "", "group g 2 w0 w1 w2", "quorum g"];
  const space = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 3 });
  const between = fc.array(fc.tuple(space, fc.constantFrom("", "#", "# quorum none", "#\u00e9")), { maxLength: 2 });
  const around = fc.tuple(between, space, space, space);
  fc.assert(
    fc.property(fc.array(around, { minLength: lines.length, maxLength: lines.length }), (layout) => {
      const laidOut = layout.flatMap(([others, before, inside, after], i) => [
        ...others.map((parts) => parts.join("")),
        before + (lines[i] ?? "").replaceAll(" ", ` ${inside}`) + after,
      ]);
      expect(policyOf(...laidOut)).toEqual(parsePolicy(VALID));
    }),
    RUNS,
  );
});

test("any octets are a policy or malformed, and nothing else is thrown", () => {
  const words = fc.constantFrom(
    "log ",
    "witness ",
    "group ",
    "quorum ",
    "none",
    "w0 ",
    "all ",
    "2 ",
    "\n",
    "\t",
    "#",
    "é",
    "\0",
  );
  const texts = fc.array(fc.oneof(words, fc.constantFrom(...witnessLines.slice(0, 2))), { maxLength: 30 });
  const mutated = fc.tuple(fc.nat(VALID.length - 1), fc.nat(255)).map(([at, byte]) => VALID.with(at, byte));
  const some = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    texts.map((parts) => utf8(parts.join(""))),
    mutated,
  );
  fc.assert(
    fc.property(some, (bytes) => {
      try {
        parsePolicy(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Malformed);
      }
    }),
    { ...RUNS, numRuns: RUNS.numRuns * 10 },
  );
});
