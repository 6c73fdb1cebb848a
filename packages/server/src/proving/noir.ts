/**
 * The Noir program of an architecture, for so many calls in one proof. Its text has no weights: those are private inputs, as
 * are the salts and the inputs. Public are, in this order: each call's receipt id in two elements, the commitment to the
 * weights, and for each call the commitment to its input and what the circuit gave (docs/spec/proof.md).
 */
import {
  type Architecture,
  type ConvStep,
  type DenseStep,
  fieldOf,
  inputDomain,
  PACKED_BITS,
  type ParameterGroup,
  type Plan,
  type PoolStep,
  planCircuit,
  type Step,
  type TreesStep,
  weightsDomain,
} from "@tallystick/protocol";
import { NOIR_LIBRARY } from "./noir-library.ts";

/** The program that proves `calls` calls of `architecture` at once. */
export function noirProgram(architecture: Architecture, calls: number): string {
  const plan = planCircuit(architecture);
  return `${NOIR_LIBRARY}
${writeForward(architecture, plan)}
${writeMain(architecture, plan, calls)}`;
}

/** The type of a group in the program: what indexes a list is a small integer. */
const typeOf = ({ isSigned, count }: ParameterGroup) => `[${isSigned ? "Field" : "u8"}; ${count}]`;
const parametersOf = ({ groups }: Plan) => groups.map((group) => `${group.name}: ${typeOf(group)}`).join(", ");
const half = (bits: number) => `0x${(1n << BigInt(bits)).toString(16)}`;

function writeForward(architecture: Architecture, plan: Plan): string {
  const lines = [`fn forward(x: [Field; ${plan.inputs}], ${parametersOf(plan)}) -> [Field; ${plan.outputs}] {`];
  for (const [i, step] of plan.steps.entries()) lines.push(writeStep(step, i, i === 0 ? "x" : `y${i - 1}`, plan));
  const last = `y${plan.steps.length - 1}`;
  const { scores, scoreBits } = plan;
  // A difference of two scores needs a bit more than one of them.
  const decided =
    architecture.decision === "argmax" ? `[argmax::<${scores}, ${scoreBits + 1}>(${last}, ${half(scoreBits)})]` : last;
  return [...lines, `    ${decided}`, "}"].join("\n");
}

function writeStep(step: Step, i: number, from: string, plan: Plan): string {
  switch (step.op) {
    case "dense":
      return writeDense(step, i, from);
    case "conv":
      return writeConv(step, i, from);
    case "pool":
      return writePool(step, i, from);
    case "trees":
      return writeTrees(step, i, from, plan);
  }
}

const activated = ({ relu, bits }: DenseStep | ConvStep) => (relu ? `relu::<${bits}>(sum, ${half(bits)})` : "sum");

function writeDense(step: DenseStep, i: number, from: string): string {
  const { inputs, outputs } = step;
  return `    let mut y${i}: [Field; ${outputs}] = [0; ${outputs}];
    for o in 0..${outputs} {
        let mut sum = bias${i}[o];
        for j in 0..${inputs} { sum += weights${i}[o * ${inputs} + j] * ${from}[j]; }
        y${i}[o] = ${activated(step)};
    }`;
}

function writeConv(step: ConvStep, i: number, from: string): string {
  const { channels, height, width, outputs, kernel, stride, outHeight, outWidth } = step;
  const count = outputs * outHeight * outWidth;
  return `    let mut y${i}: [Field; ${count}] = [0; ${count}];
    for o in 0..${outputs} { for h in 0..${outHeight} { for w in 0..${outWidth} {
        let mut sum = bias${i}[o];
        for c in 0..${channels} { for a in 0..${kernel} { for b in 0..${kernel} {
            sum += weights${i}[((o * ${channels} + c) * ${kernel} + a) * ${kernel} + b]
                * ${from}[(c * ${height} + h * ${stride} + a) * ${width} + w * ${stride} + b];
        } } }
        y${i}[(o * ${outHeight} + h) * ${outWidth} + w] = ${activated(step)};
    } } }`;
}

function writePool(step: PoolStep, i: number, from: string): string {
  const { channels, height, width, kernel, outHeight, outWidth } = step;
  const count = channels * outHeight * outWidth;
  return `    let mut y${i}: [Field; ${count}] = [0; ${count}];
    for c in 0..${channels} { for h in 0..${outHeight} { for w in 0..${outWidth} {
        let mut sum: Field = 0;
        for a in 0..${kernel} { for b in 0..${kernel} {
            sum += ${from}[(c * ${height} + h * ${kernel} + a) * ${width} + w * ${kernel} + b];
        } }
        y${i}[(c * ${outHeight} + h) * ${outWidth} + w] = sum;
    } } }`;
}

function writeTrees(step: TreesStep, i: number, from: string, { inputBits }: Plan): string {
  const { trees, depth } = step;
  const branches = 2 ** depth - 1;
  // A difference of two inputs needs a bit more than one of them.
  return `    let mut sum = base${i}[0];
    for t in 0..${trees} {
        let mut position: u32 = 0;
        for _ in 0..${depth} {
            let value = ${from}[features${i}[t * ${branches} + position] as u32];
            let beyond = value - thresholds${i}[t * ${branches} + position] - 1;
            let (right, _kept) = sign::<${inputBits}>(beyond, ${half(inputBits)});
            position = 2 * position + 1 + (right as u32);
        }
        sum += leaves${i}[t * ${branches + 1} + position - ${branches}];
    }
    let y${i} = [sum];`;
}

function writeMain(architecture: Architecture, plan: Plan, calls: number): string {
  const { inputs, inputBits, outputs, groups } = plan;
  const count = 1 + calls * (1 + outputs);
  const per = 1 + outputs;
  const packedGroups = groups.map((group) => ({ group, packed: Math.ceil(group.count / perElement(group.bits)) }));
  const lines = [
    `fn main(context: pub [[Field; 2]; ${calls}], weights_salt: Field, input_salts: [Field; ${calls}],`,
    `    x: [[Field; ${inputs}]; ${calls}], ${parametersOf(plan)}) -> pub [Field; ${count}] {`,
    "    let _ = context;",
  ];
  let at = 2;
  const total = packedGroups.reduce((sum, { packed }) => sum + packed, 2);
  lines.push(`    let mut hashed = [0; ${total}];`);
  lines.push(`    hashed[0] = ${field(weightsDomain(architecture))}; hashed[1] = weights_salt;`);
  for (const { group, packed } of packedGroups) {
    lines.push(`    let packed_${group.name}: [Field; ${packed}] = ${writePack(group, packed)};`);
    lines.push(`    for i in 0..${packed} { hashed[${at} + i] = packed_${group.name}[i]; }`);
    at += packed;
  }
  const packedInputs = Math.ceil(inputs / perElement(inputBits));
  const inputGroup: ParameterGroup = { name: "x[k]", count: inputs, bits: inputBits, isSigned: true };
  lines.push(
    `    let mut given = [0; ${count}];`,
    "    given[0] = sponge(hashed);",
    `    for k in 0..${calls} {`,
    `        let packed: [Field; ${packedInputs}] = ${writePack(inputGroup, packedInputs)};`,
    `        let mut opened = [0; ${packedInputs + 2}];`,
    `        opened[0] = ${field(inputDomain(architecture))}; opened[1] = input_salts[k];`,
    `        for i in 0..${packedInputs} { opened[2 + i] = packed[i]; }`,
    `        given[1 + k * ${per}] = sponge(opened);`,
    `        let y = forward(x[k], ${groups.map(({ name }) => name).join(", ")});`,
    `        for o in 0..${outputs} { given[2 + k * ${per} + o] = y[o]; }`,
    "    }",
    "    given",
    "}",
    "",
  );
  return lines.join("\n");
}

function writePack({ name, count, bits, isSigned }: ParameterGroup, packed: number): string {
  const values = isSigned ? name : `${name}.map(|value| value as Field)`;
  return `pack::<${count}, ${packed}, ${bits}, ${perElement(bits)}>(${values}, ${isSigned ? half(bits - 1) : "0"})`;
}

const perElement = (bits: number) => Math.floor(PACKED_BITS / bits);
const field = (value: bigint) => `0x${fieldOf(value).toString(16)}`;
