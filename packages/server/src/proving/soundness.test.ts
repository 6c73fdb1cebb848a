/**
 * A prover that lies: it changes what the witness solver found, or the hints that the solver goes by. What it could change,
 * and what follows for the answer, is read from the ACIR that is proved (docs/spec/proof.md, "What the circuit leaves open").
 */
import { gunzipSync } from "node:zlib";
import { acvm, type CompiledCircuit, Noir } from "@noir-lang/noir_js";
import { concat, FIELD_MODULUS, hex, planCircuit } from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Acir, readAcir } from "../../../../test/acir.ts";
import { boundOf, deduce, indexOf, witnessesOf } from "../../../../test/acir-determined.ts";
import { looseOf } from "../../../../test/acir-satisfied.ts";
import {
  CRS_FOLDER,
  CRS_SUITE,
  callOf,
  FIXTURE_NAMES,
  importFixture,
  PROGRAMS_FOLDER,
  PROVING_TIMEOUT_MS,
  WEIGHTS_SALT,
} from "../../../../test/proving.ts";
import { assign, openCall } from "./assignment.ts";
import { type Backend, bytecodeOf, openBackend } from "./barretenberg.ts";
import { type Lane, openLane } from "./lane.ts";
import { PROVING_LIMITS } from "./limits.ts";
import { noirProgram } from "./noir.ts";
import { createPrograms, type Programs } from "./programs.ts";

let lane: Lane;
let programs: Programs;
let backend: Backend;

beforeAll(async () => {
  if (CRS_FOLDER === undefined) return;
  process.env.CRS_PATH = CRS_FOLDER;
  lane = openLane(CRS_FOLDER, PROVING_LIMITS);
  programs = createPrograms(`${PROGRAMS_FOLDER}/programs`, lane, PROVING_LIMITS);
  backend = await openBackend(2, CRS_FOLDER);
});
afterAll(async () => {
  await lane?.[Symbol.asyncDispose]();
  await backend?.[Symbol.asyncDispose]();
});

/** The program of `calls` calls of a fixture, its text changed by `edit`, and an honest assignment of its inputs. */
async function openFixture(name: string, edit = (text: string) => text, calls = 1) {
  const model = importFixture(name);
  const opened = Array.from({ length: calls }, (_, i) => openCall(model.circuit, model.weights, callOf(model, 1 + i)));
  const text = edit(noirProgram(model.circuit.architecture, calls));
  const { compiled, verificationKey } = await programs.get(text);
  const circuit: CompiledCircuit = JSON.parse(compiled);
  const inputs = assign(model.circuit, model.weights, WEIGHTS_SALT, opened);
  return { model, circuit, acir: readAcir(bytecodeOf(circuit)), verificationKey, inputs };
}

type Solved = Awaited<ReturnType<typeof solve>>;

async function solve(name: string) {
  const fixture = await openFixture(name);
  const { witness } = await new Noir(fixture.circuit).execute(fixture.inputs);
  const [stack] = acvm.decompressWitnessStack(witness);
  if (stack === undefined) throw new Error("the program gave nothing");
  const values = new Map([...stack.witness].map(([place, value]) => [place, BigInt(value)]));
  return { ...fixture, index: stack.index, values };
}

/** What a proof over `values` says in public, where it holds. A prover that refuses makes none. */
async function prove({ circuit, verificationKey, index }: Solved, values: ReadonlyMap<number, bigint>) {
  const witness = new Map([...values].map(([place, value]) => [place, `0x${value.toString(16).padStart(64, "0")}`]));
  const solved = gunzipSync(acvm.compressWitnessStack([{ index, witness }]));
  const proof = await backend.prove(bytecodeOf(circuit), verificationKey, solved).catch(() => undefined);
  if (proof === undefined || !(await backend.verify(verificationKey, proof))) return "nothing";
  return hex(concat(...proof.publicInputs));
}

/** Every witness of a circuit, and those that a permutation gives. */
function placesOf({ constraints, publicInputs }: Acir) {
  const all = new Set([...publicInputs, ...constraints.flatMap(witnessesOf)]);
  const permuted = new Set(constraints.flatMap((one) => (one.kind === "permutation" ? one.outputs : [])));
  return { all, permuted };
}

/** How many values are edited and proved anew; that no other edit meets the constraints is computed of all. */
const EDITS = Number(process.env.FC_RUNS ?? 6);

/** Some of `places`, the same each time. */
function sample(places: readonly number[], count: number): number[] {
  let state = 5;
  const ranked = places.map((place) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return [state, place] as const;
  });
  return ranked
    .sort(([one], [other]) => one - other)
    .slice(0, count)
    .map(([, place]) => place);
}

/** Text of a program without one of its checks. */
function without(check: string) {
  return (text: string) => {
    expect(text.split(check).length).toBe(2);
    return text.replace(check, "");
  };
}

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  const PROGRAMS: [name: string, calls: number][] = [
    ...FIXTURE_NAMES.map((name): [string, number] => [name, 1]),
    ["mlp", 4],
  ];
  test.each(PROGRAMS)(
    "%s, %i at once: by its constraints alone all that it returns is determined by what goes in, and all that goes in is held to its bits",
    async (name, calls) => {
      const { acir, model } = await openFixture(name, undefined, calls);
      const { determined, inverses } = deduce(acir);
      const { all } = placesOf(acir);
      expect(acir.returned.filter((place) => !determined.has(place))).toEqual([]);
      // What is determined by nothing is the inverse of a 0, which nothing else reads.
      expect([...all].filter((place) => !determined.has(place) && !inverses.has(place))).toEqual([]);

      const { inputs, inputBits, groups } = planCircuit(model.circuit.architecture);
      const rows = Array.from({ length: calls }, () => ({ count: inputs, bits: inputBits, isSigned: true }));
      const due = [...rows, ...groups].flatMap(({ count, bits, isSigned }) =>
        Array.from({ length: count }, () => ({ bits, lift: isSigned ? 1n << BigInt(bits - 1) : 0n })),
      );
      const index = indexOf(acir.constraints);
      const values = acir.privateInputs.slice(1 + calls); // After the salts.
      expect(values.length).toBe(due.length);
      const loose = values.filter((place, i) => {
        const [bound, most] = [boundOf(index, place), due[i]];
        return bound === undefined || bound.bits > (most?.bits ?? 0) || bound.lift !== most?.lift;
      });
      expect(loose).toEqual([]);
    },
  );

  const CHECKS: [name: string, check: string][] = [
    ["mlp", "    assert(s * s == s);"],
    ["mlp", "    (2 * kept - x - 1 + s).assert_max_bit_size::<BITS>();"],
    ["mlp", "        (greatest - values[j] - before).assert_max_bit_size::<BITS>();"],
    ["cnn", "    assert(count == 1);"],
    ["gbt", "    (2 * kept - x - 1 + s).assert_max_bit_size::<BITS>();"],
  ];
  test.each(CHECKS)("%s without %s does not determine what it returns", async (name, check) => {
    const { acir } = await openFixture(name, without(check));
    const { determined } = deduce(acir);
    expect(acir.returned.some((place) => !determined.has(place))).toBe(true);
  });

  test.each(FIXTURE_NAMES)(
    "%s: of what differs from an honest witness in one value, what its constraints leave open is proved, and says the same; nothing else is",
    async (name) => {
      const solved = await solve(name);
      const { acir, values } = solved;
      const { all, permuted } = placesOf(acir);
      const { inverses } = deduce(acir);
      const loose = looseOf(acir, values);
      // A receipt's id is in the proof, and of no constraint; the inverse of 0 is multiplied by it.
      const context = acir.publicInputs.filter((place) => !acir.returned.includes(place));
      expect([...loose].filter((place) => !context.includes(place) && !inverses.has(place))).toEqual([]);
      const honest = await prove(solved, values);
      expect(honest).toHaveLength(64 * acir.publicInputs.length);

      const held = [...all].filter((place) => !loose.has(place) && !permuted.has(place));
      const edited = (place: number) => new Map(values).set(place, ((values.get(place) ?? 0n) + 1n) % FIELD_MODULUS);
      const first = [acir.privateInputs[0] ?? 0, acir.privateInputs[2] ?? 0, acir.privateInputs.at(-1) ?? 0];
      for (const place of new Set([...first, ...acir.returned, ...sample(held, EDITS)]))
        expect([place, await prove(solved, edited(place))]).toEqual([place, "nothing"]);
      const slack = [...loose].filter((place) => !context.includes(place));
      for (const place of sample(slack, 2))
        expect([place, await prove(solved, edited(place))]).toEqual([place, honest]);
      // What a permutation gives Barretenberg computes again: what the witness says instead is refused, or not looked at.
      for (const place of sample([...permuted], 2))
        expect(["nothing", honest]).toContain(await prove(solved, edited(place)));
      for (const place of context) expect(await prove(solved, edited(place))).not.toBe(honest);
    },
  );

  test("a weight or an input beyond its bits has no assignment", async () => {
    const { circuit, inputs } = await openFixture("mlp");
    const noir = new Noir(circuit);
    await expect(noir.execute({ ...inputs, weights0: new Array(512).fill("0x80") })).rejects.toThrow();
    await expect(noir.execute({ ...inputs, x: [new Array(16).fill("0x8000")] })).rejects.toThrow();
    await expect(noir.execute({ ...inputs, x: [new Array(16).fill("0x7fff")] })).resolves.toBeDefined();
  });

  const LIES: [name: string, what: string, from: string, to: string][] = [
    ["mlp", "every sign is turned", "{ 1 } else { 0 }", "{ 0 } else { 1 }"],
    ["mlp", "a sign below 0 is said to be 2", "{ 1 } else { 0 }", "{ 1 } else { 2 }"],
    ["gbt", "every branch is turned", "{ 1 } else { 0 }", "{ 0 } else { 1 }"],
    ["cnn", "every activation is passed on", "{ 1 } else { 0 }", "{ 1 } else { 1 }"],
    ["mlp", "another class is the greatest", "    best\n}", "    (best + 1) % N\n}"],
    ["mlp", "a class that there is not is the greatest", "    best\n}", "    N\n}"],
  ];
  test.each(LIES)("%s: a hint that lies, so that %s, has no assignment", async (name, _what, from, to) => {
    const { circuit, inputs } = await openFixture(name, (text) => {
      expect(text.split(from).length).toBe(2);
      return text.replace(from, to);
    });
    await expect(new Noir(circuit).execute(inputs)).rejects.toThrow();
  });

  test("of equal classes only the first is proved to be the greatest", async () => {
    // A model whose weights are all 0: every score is the same.
    const honest = await openFixture("mlp");
    const last = await openFixture("mlp", (text) => text.replace("    best\n}", "    N - 1\n}"));
    const zeros = Object.fromEntries(
      Object.entries(honest.inputs).map(([name, value]) =>
        /weights\d|bias\d/.test(name) && Array.isArray(value) ? [name, value.map(() => "0x0")] : [name, value],
      ),
    );
    const { returnValue } = await new Noir(honest.circuit).execute(zeros);
    expect(Array.isArray(returnValue) && Number(returnValue[2])).toBe(0);
    await expect(new Noir(last.circuit).execute(zeros)).rejects.toThrow();
  });
});
