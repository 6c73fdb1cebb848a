/** A prover that lies: it changes what the witness solver found, or the hints that the solver goes by. */
import { gunzipSync } from "node:zlib";
import { acvm, type CompiledCircuit, Noir } from "@noir-lang/noir_js";
import { FIELD_MODULUS, publicInputsOf } from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

/** The program of a fixture with the text changed by `edit`, and an honest assignment of its inputs. */
async function openFixture(name: string, edit = (text: string) => text) {
  const model = importFixture(name);
  const call = openCall(model.circuit, model.weights, callOf(model, 1));
  const text = edit(noirProgram(model.circuit.architecture, 1));
  const { compiled, verificationKey } = await programs.get(text);
  const circuit: CompiledCircuit = JSON.parse(compiled);
  const inputs = assign(model.circuit, model.weights, WEIGHTS_SALT, [call]);
  return { model, call, circuit, verificationKey, inputs };
}

type Solved = Awaited<ReturnType<typeof solve>>;

async function solve(name: string) {
  const fixture = await openFixture(name);
  const { witness, returnValue } = await new Noir(fixture.circuit).execute(fixture.inputs);
  const [stack] = acvm.decompressWitnessStack(witness);
  if (stack === undefined || !Array.isArray(returnValue)) throw new Error("the program gave nothing");
  return { ...fixture, stack, returned: returnValue.map(String) };
}

/** Whether a proof over `witness` holds for what it says in public. A prover that refuses makes none. */
async function isProved({ circuit, verificationKey, stack }: Solved, witness: acvm.WitnessMap): Promise<boolean> {
  const solved = gunzipSync(acvm.compressWitnessStack([{ index: stack.index, witness }]));
  const proof = await backend.prove(bytecodeOf(circuit), verificationKey, solved).catch(() => undefined);
  return proof !== undefined && backend.verify(verificationKey, proof);
}

const plusOne = (value: string) => `0x${((BigInt(value) + 1n) % FIELD_MODULUS).toString(16).padStart(64, "0")}`;

describe.skipIf(CRS_FOLDER === undefined)(CRS_SUITE, { timeout: PROVING_TIMEOUT_MS }, () => {
  test.each(FIXTURE_NAMES)(
    "%s: what the solver found is proved, and nothing that differs from it in one value",
    async (name) => {
      const solved = await solve(name);
      const { stack, returned, model, call } = solved;
      expect(await isProved(solved, stack.witness)).toBe(true);
      // What a program returns stands in its last witnesses before those of its inside, in order.
      const [commitment = ""] = returned;
      const first = [...stack.witness].find(([, value]) => BigInt(value) === BigInt(commitment))?.[0] ?? 0;
      const weightAt = 5 + call.values.length;
      const edits = new Map([
        ["a salt", 2],
        ["an input", 4],
        ["a weight", weightAt],
        ["the commitment to the weights", first],
        ["the commitment to the input", first + 1],
        ["the output", first + 2],
      ]);
      // A permutation gives four elements, of which the sponge reads one: what stands for the others at its end is read by nothing.
      const places = [...stack.witness].filter(([, value]) => BigInt(value) < 1n << 200n).map(([place]) => place);
      for (let i = 1; i <= 6; i++) edits.set(`one of six, ${i}`, places[Math.floor((i * places.length) / 7)] ?? 0);
      expect(publicInputsOf([call.call], new Uint8Array(32)).length).toBe(2 + returned.length);
      for (const [what, place] of edits) {
        const witness = new Map(stack.witness).set(place, plusOne(stack.witness.get(place) ?? "0x0"));
        expect([name, what, await isProved(solved, witness)]).toEqual([name, what, false]);
      }
      expect(model.weights.length).toBeGreaterThan(1);
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
