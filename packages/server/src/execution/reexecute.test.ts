import {
  type Call,
  encodeCall,
  floats,
  floatTensor,
  type Manifest,
  sha256,
  type TensorCall,
} from "@tallystick/protocol";
import { afterAll, describe, expect, test } from "vitest";
import { exampleCall, openTestNode, readSource, withOtherWeights } from "../../../../test/claims.ts";
import { type Claim, type Judge, openReexecution } from "./reexecute.ts";

const judge = await openReexecution({ log: () => {} });
const node = await openTestNode();
afterAll(async () => {
  await judge[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

const TABULAR = "breast-cancer";
const source = await readSource(TABULAR);
const honest = await node.answer(source, exampleCall(TABULAR, source));
const outcomeOf = async (claim: Claim, by: Judge = judge) => (await by.reexecute(claim)).outcome;

const asked = exampleCall(TABULAR, source);
const [example = floatTensor("", [], [])] = asked.operation === "infer" ? asked.inputs : [];

/** The first row of the example, some of it larger and some smaller: otherwise for each seed. */
function row(seed: number): TensorCall {
  const values = floats(example)
    .slice(0, 30)
    .map((value, i) => value * (1 + 0.1 * Math.sin(seed * 31 + i)));
  return { operation: "infer", inputs: [floatTensor("features", [1, 30], values)], outputs: [] };
}

const flipped = (bytes: Uint8Array, at: number, bit: number) =>
  bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));

describe("what is true", () => {
  const CALLS: [folder: string, call?: Call][] = [
    ["breast-cancer"],
    ["credit-default"],
    ["seattle-temperature"],
    ["prompt-injection"],
    ["silero-vad"],
    ["use-lite", { operation: "embedding", body: { input: ["a tally stick", "split in two"] } }],
    ["state-of-the-union"],
    [
      "state-of-the-union",
      { operation: "chat", body: { messages: [{ role: "user", content: "Peace?" }], max_tokens: 12, n: 2 } },
    ],
    ["state-of-the-union", { operation: "response", body: { input: "Our farms", max_output_tokens: 8 } }],
  ];
  test.each(CALLS)("passes bit for bit, and again when it is run again: %s %o", async (folder, given) => {
    const model = await readSource(folder);
    const claim = await node.answer(model, given ?? exampleCall(folder, model));
    for (let i = 0; i < 3; i++)
      expect(await judge.reexecute(claim)).toMatchObject({
        ...{ outcome: "passed", method: "reexecution", isProvable: false, profile: judge.profile },
        costMicroseconds: expect.any(Number),
      });
  });

  test("passes where another version of the judge ran it, as long as the bits are the same", async () => {
    const profile = { ...honest.profile, runtime: "onnxruntime-web@1.31.0", binary: sha256(Uint8Array.of(1)) };
    expect(await outcomeOf({ ...honest, profile })).toBe("passed");
  });
});

describe("what is false", () => {
  async function expectFault(claim: Claim, detail: RegExp): Promise<void> {
    expect(await judge.reexecute(claim)).toMatchObject({
      ...{ outcome: "failed", method: "reexecution", isProvable: true },
      detail: expect.stringMatching(detail),
    });
  }

  test("is caught by each byte of the answer", async () => {
    for (let at = 0; at < honest.answer.length; at++)
      await expectFault({ ...honest, answer: flipped(honest.answer, at, at % 8) }, /^the answer is not the model's/);
  });

  test("is caught by one bit of one number that was asked about", async () => {
    for (let at = 2; at < example.data.length; at += 4) {
      const inputs = [{ ...example, data: flipped(example.data, at, 7) }];
      await expectFault({ ...honest, call: encodeCall({ operation: "infer", inputs, outputs: [] }) }, /differs in 1 /);
    }
  });

  test("is caught by one flipped bit of a weight", async () => {
    let count = 0;
    for (let which = 0; which < 3; which++)
      for (let weight = 0; weight < 30; weight += 7) {
        let constant = 0;
        let isFlipped = false;
        const other = withOtherWeights(source, (raw, width) => {
          if (constant++ !== which || raw.length <= weight * width) return;
          // The uppermost bit of the fraction.
          raw.set([(raw[weight * width + 2] ?? 0) ^ 0x40], weight * width + 2);
          isFlipped = true;
        });
        if (!isFlipped) continue;
        count++;
        const { answer } = await node.answer(other, exampleCall(TABULAR, source));
        await expectFault({ ...honest, answer }, /differs in [12] elements/);
      }
    expect(count).toBeGreaterThan(5);
  });

  test("is caught where the answer is another revision's", async () => {
    const other = withOtherWeights(source, (raw) => {
      raw.set([(raw[2] ?? 0) ^ 0x40], 2);
    });
    const { manifest, files } = other;
    await expectFault({ ...honest, manifest, files }, /differs in [12] elements/);
    const credit = await readSource("credit-default");
    await expectFault({ ...honest, ...credit }, /./);
  });

  test("is caught where another engine ran it, wherever that gave other bits, and where the receipt says so", async () => {
    await using native = await openTestNode();
    const model = { ...source, manifest: { ...source.manifest, engine: "native" as const } };
    let differing = 0;
    for (let seed = 0; seed < 40; seed++) {
      const ours = await node.answer(source, row(seed));
      const theirs = await native.answer(model, row(seed));
      const isSame = Buffer.compare(ours.answer, theirs.answer) === 0;
      if (!isSame) differing++;
      expect(await outcomeOf({ ...ours, answer: theirs.answer })).toBe(isSame ? "passed" : "failed");
      await expectFault({ ...ours, profile: theirs.profile }, /onnxruntime-node@.* ran it \(tolerant\)/);
    }
    expect(differing).toBeGreaterThan(0);
  });

  test("is caught in what the receipt counts", async () => {
    expect(honest.units).toBe(2);
    for (const units of [{ units: 3 }, { outputUnits: 1 }])
      await expectFault({ ...honest, ...units }, /counts other units/);
  });

  test("is caught where what was answered is no call, or no answer", async () => {
    await expectFault({ ...honest, call: Uint8Array.of(1) }, /no call/);
    await expectFault({ ...honest, answer: Uint8Array.of(1) }, /no answer in canonical bytes/);
  });

  test("is caught where the model refuses the call", async () => {
    const inputs = [floatTensor("features", [1, 30], new Array<number>(30).fill(Number.NaN))];
    await expectFault({ ...honest, call: encodeCall({ operation: "infer", inputs, outputs: [] }) }, /refuses/);
  });

  test("is caught in text: another word, another seed, another prompt", async () => {
    const model = await readSource("state-of-the-union");
    const call: Call = { operation: "completion", body: { prompt: "The", max_tokens: 12 } };
    const claim = await node.answer(model, call);
    const asked: Call = { operation: "completion", body: { prompt: "A", max_tokens: 12 } };
    await expectFault({ ...claim, receiptId: sha256(Uint8Array.of(9)) }, /its choices differ/);
    await expectFault({ ...claim, call: encodeCall(asked) }, /its choices differ/);
    const { answer } = await node.answer(model, call, sha256(Uint8Array.of(9)));
    await expectFault({ ...claim, answer }, /its choices differ/);
  });
});

describe("what cannot be said here", () => {
  const unsaid = async (claim: Claim, detail: RegExp, by: Judge = judge) =>
    expect(await by.reexecute(claim)).toMatchObject({
      ...{ outcome: "undecided", isProvable: false },
      detail: expect.stringMatching(detail),
    });
  const as = (changes: Partial<Manifest>): Claim => ({ ...honest, manifest: { ...source.manifest, ...changes } });
  const lie = flipped(honest.answer, honest.answer.length - 1, 0);

  test("is what lacks a file, or has another", async () => {
    const others = [...source.files].filter(([path]) => path !== "model.onnx");
    await unsaid({ ...as({ version: "8" }), files: new Map(others) }, /"model.onnx" of .* is missing/);
    const bytes = source.files.get("model.onnx") ?? new Uint8Array();
    await unsaid(
      { ...as({ version: "9" }), files: new Map([...others, ["model.onnx", flipped(bytes, 99, 0)]]) },
      /SHA-256/,
    );
  });

  test("is what ran elsewhere", () => unsaid(as({ engine: "relay", upstream: "else" }), /relayed/));

  test("is what states no tolerance, and would need one", () =>
    unsaid(as({ engine: "native" }), /states no tolerance/));

  test("is a difference from what another version of the judge gave, and both are named", async () => {
    const profile = { ...honest.profile, runtime: "onnxruntime-web@1.31.0/opt-all/threads-1/unicode-15.1" };
    await unsaid({ ...honest, answer: lie, profile }, /onnxruntime-web@1\.31\.0.*and here is onnxruntime-web@1\.30\.0/);
    const binary = sha256(Uint8Array.of(1));
    await unsaid({ ...honest, answer: lie, profile: { ...honest.profile, binary } }, /^the receipt says that/);
  });

  test("is no difference from what an engine gave that no verifier has run: that is false, and shown by nobody", async () => {
    const binary = sha256(Uint8Array.of(1));
    const named = { ...honest, profile: { ...honest.profile, binary }, isEngineKnown: false };
    expect(await outcomeOf(named)).toBe("passed");
    expect(await judge.reexecute({ ...named, answer: lie })).toMatchObject({
      ...{ outcome: "failed", isProvable: false },
      detail: expect.stringMatching(/no verifier of this log has run that engine$/),
    });
    expect(await outcomeOf({ ...honest, answer: lie, isEngineKnown: false })).toBe("failed"); // Its own, before any check.
  });

  test("is a difference in a text that other tables of Unicode may read otherwise, and no other text", async () => {
    const model = await readSource("state-of-the-union");
    const profile = { ...honest.profile, runtime: honest.profile.runtime.replace(/unicode-.*$/, "unicode-99.0") };
    const lieOf = async (prompt: string): Promise<Claim> => {
      const claim = await node.answer(model, { operation: "completion", body: { prompt, max_tokens: 2 } });
      return { ...claim, profile, units: claim.units + 1 };
    };
    expect(await judge.reexecute(await lieOf("Zürich, 東京 😀"))).toMatchObject({
      outcome: "failed",
      isProvable: true,
    });
    await unsaid(await lieOf("\u{11de0}"), /unicode-99/);
  });

  test("is what does not end in its time, or has too many before it", async () => {
    await using hasty = await openReexecution({ deadlineMs: 1, log: () => {} });
    const model = await readSource("state-of-the-union");
    const claim = await node.answer(model, { operation: "completion", body: { prompt: "The", max_tokens: 200 } });
    await unsaid(claim, /\(deadline\)/, hasty);
    const all = await Promise.all(Array.from({ length: 300 }, () => judge.reexecute(honest)));
    expect(all.filter(({ outcome }) => outcome === "passed")).toHaveLength(256);
    expect(all.at(-1)).toMatchObject({ outcome: "undecided", detail: "256 claims wait already", costMicroseconds: 0 });
  });
});

describe("within a tolerance", () => {
  const NATIVE: Partial<Manifest> = { engine: "native", tolerance: { absolute: "0.00001", relative: "0.00001" } };

  test("a native answer passes, one that is further off fails, and neither is provable", async () => {
    const model = await readSource(TABULAR, NATIVE);
    for (let seed = 0; seed < 10; seed++) {
      const claim = await node.answer(model, row(seed));
      expect(claim.profile).toMatchObject({ exactness: "tolerant" });
      expect(await judge.reexecute(claim)).toMatchObject({
        ...{ outcome: "passed", isProvable: false },
        profile: { runtime: judge.profile.runtime, exactness: "tolerant" },
      });
      expect(
        await judge.reexecute({ ...claim, answer: flipped(claim.answer, claim.answer.length - 3, 4) }),
      ).toMatchObject({
        ...{ outcome: "failed", isProvable: false },
        detail: expect.stringMatching(/beyond the tolerance in 1 of 1 elements/),
      });
    }
  });

  test("a native embedding passes, and one of other words fails", async () => {
    const model = await readSource("use-lite", NATIVE);
    const asked = (input: string): Call => ({ operation: "embedding", body: { input } });
    const claim = await node.answer(model, asked("a tally stick"));
    expect(await judge.reexecute(claim)).toMatchObject({ outcome: "passed" });
    expect(await judge.reexecute({ ...claim, call: encodeCall(asked("a telly stick")) })).toMatchObject({
      ...{ outcome: "failed", isProvable: false },
      detail: expect.stringMatching(/embeddings differ/),
    });
  });
});
