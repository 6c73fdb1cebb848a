/**
 * What proofs cost: CPU seconds and memory of the prover, what verifying takes, for the four kinds of model. Wants the
 * CRS by CRS_PATH, and Linux, where the system tells what the prover's own process took.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type CompiledCircuit, type InputMap, Noir } from "@noir-lang/noir_js";
import { assign, openCall } from "../packages/server/src/proving/assignment.ts";
import { type Backend, bytecodeOf, openBackend, type Proof } from "../packages/server/src/proving/barretenberg.ts";
import { openLane } from "../packages/server/src/proving/lane.ts";
import { PROVING_LIMITS } from "../packages/server/src/proving/limits.ts";
import { noirProgram } from "../packages/server/src/proving/noir.ts";
import { createPrograms, type Programs } from "../packages/server/src/proving/programs.ts";
import { CRS_FOLDER, callOf, FIXTURE_NAMES, importFixture, WEIGHTS_SALT } from "../test/proving.ts";
import { median, type Row } from "./ratio.ts";

const ROUNDS = 5;
const TICKS_PER_SECOND = 100;
/** CPU seconds that bb alone took when these circuits were chosen: half as much again is a miss. */
const SECONDS: Record<string, number> = { logreg30: 0.28, mlp: 0.46, gbt: 0.77, cnn: 0.48 };
const BATCH = 16;
const VERIFICATIONS = 20;

export async function benchProofs(): Promise<Row[]> {
  if (CRS_FOLDER === undefined) throw new Error("proofs want the CRS: set CRS_PATH");
  process.env.CRS_PATH = CRS_FOLDER; // What bb goes by.
  const folder = mkdtempSync(join(tmpdir(), "tallystick-bench-"));
  const lane = openLane(CRS_FOLDER, PROVING_LIMITS);
  try {
    const programs = createPrograms(folder, lane, PROVING_LIMITS);
    const rows: Row[] = [];
    for (const name of FIXTURE_NAMES) rows.push(...(await benchModel(programs, name, 1)));
    for (const name of ["logreg30", "mlp"]) rows.push(...(await benchModel(programs, name, BATCH)));
    return rows;
  } finally {
    await lane[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchModel(programs: Programs, name: string, calls: number): Promise<Row[]> {
  const { circuit, weights } = importFixture(name);
  const { compiled, verificationKey, gates } = await programs.get(noirProgram(circuit.architecture, calls));
  const program: CompiledCircuit = JSON.parse(compiled);
  const opened = Array.from({ length: calls }, (_, i) => openCall(circuit, weights, callOf({ circuit }, i)));
  const noir = new Noir(program);
  const inputs = assign(circuit, weights, WEIGHTS_SALT, opened);
  const before = childrenOf();
  await using backend = await openBackend(2, CRS_FOLDER ?? "");
  const bb = childrenOf().find((pid) => !before.includes(pid)) ?? 0;
  const witness = new Uint8Array(gunzipSync((await noir.execute(inputs)).witness));
  const [proving, verifying]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const start = cpuSeconds(bb);
    const proof = await backend.prove(bytecodeOf(program), verificationKey, witness);
    proving.push(cpuSeconds(bb) - start);
    verifying.push(await cpuOfVerifying(bb, backend, verificationKey, proof));
  }
  const label = calls === 1 ? name : `${name}, ${calls} calls at once`;
  const most = calls === 1 ? SECONDS[name] : undefined;
  const bound = most === undefined ? {} : { bound: { atMost: 1.5 * most } };
  return [
    { name: `${label}: gates`, value: gates, unit: "gates" },
    { name: `${label}: a proof`, value: median(proving), unit: "CPU s", ...bound },
    { name: `${label}: a call`, value: median(proving) / calls, unit: "CPU s" },
    { name: `${label}: the witness`, value: await cpuOfSolving(noir, inputs), unit: "CPU s" },
    { name: `${label}: memory of the prover`, value: peakMemory(bb) / 1e6, unit: "MB", bound: { atMost: 80 } },
    { name: `${label}: verifying`, value: median(verifying), unit: "CPU ms", bound: { atMost: 20 } },
  ];
}

/** On the average of many: the system counts hundredths of a second. */
async function cpuOfVerifying(
  bb: number,
  backend: Backend,
  verificationKey: Uint8Array,
  proof: Proof,
): Promise<number> {
  const start = cpuSeconds(bb);
  for (let i = 0; i < VERIFICATIONS; i++)
    if (!(await backend.verify(verificationKey, proof))) throw new Error("the proof does not hold");
  return (1000 * (cpuSeconds(bb) - start)) / VERIFICATIONS;
}

async function cpuOfSolving(noir: Noir, inputs: InputMap): Promise<number> {
  const start = process.cpuUsage();
  await noir.execute(inputs);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

/** This process's children (proc(5)). */
function childrenOf(): number[] {
  return readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function cpuSeconds(pid: number): number {
  const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
  const fields = rest.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function peakMemory(pid: number): number {
  return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
}
