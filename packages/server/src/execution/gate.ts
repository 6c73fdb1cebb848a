/**
 * What may be an ONNX graph here, judged by its bytes before any engine reads them. It reads the protobuf itself, field by
 * field: a library would keep one of two fields where the engine merges both, and a graph could hide behind the other.
 * What it cannot see, such as sizes that come with an input, is left to the deadline and the memory bound.
 */
import { parseUtf8 } from "@tallystick/protocol";
import { GRAPH_LIMITS, type GraphLimits } from "./limits.ts";
import { countVarints, type Field, MalformedProtobuf, packedVarints, protobufFields } from "./protobuf.ts";

const DOMAINS = new Set(["", "ai.onnx", "ai.onnx.ml", "com.microsoft"]);

/** Operators that are refused in every domain, and why. */
const REFUSED = new Map([
  ...["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"].map(
    (name) => [name, "draws random numbers, so that no two runs agree"] as const,
  ),
  ...["Loop", "Scan", "SequenceMap", "BeamSearch", "WhisperBeamSearch", "GreedySearch", "Sampling"].map(
    (name) => [name, "repeats a graph, perhaps for ever"] as const,
  ),
  ...["BiasDropout", "BitmaskDropout", "BitmaskBiasDropout"].map(
    (name) => [name, "draws random numbers, so that no two runs agree"] as const,
  ),
  ...["BitCast", "MurmurHash3"].map(
    (name) => [name, "reads the bits of numbers, and those of a NaN are not the same on every machine"] as const,
  ),
  ["EPContext", "reads a file of its own choice"] as const,
]);

/** Bytes of an element, by ONNX data type, where that is a whole number. */
const ELEMENT_BYTES = new Map([
  ...[2, 3, 9].map((type) => [type, 1] as const), // uint8, int8, bool
  ...[4, 5, 10, 16].map((type) => [type, 2] as const), // uint16, int16, float16, bfloat16
  ...[1, 6, 12].map((type) => [type, 4] as const), // float, int32, uint32
  ...[7, 11, 13, 14].map((type) => [type, 8] as const), // int64, double, uint64, complex64
  [15, 16] as const, // complex128
]);
const STRING = 8;
const COMPLEX = [14, 15];

/** What is wrong with the ONNX graph `bytes`, in words for its publisher; empty when nothing is. */
export function graphFaults(bytes: Uint8Array, limits: GraphLimits = GRAPH_LIMITS): string[] {
  if (bytes.length > limits.sizeBytes) return [`is ${bytes.length} bytes; at most ${limits.sizeBytes} are allowed`];
  // The engine takes such bytes for its own format, whatever they are as a protobuf.
  if (parseUtf8(bytes.subarray(4, 8)) === "ORTM") return ["is in ONNX Runtime's own format: publish the .onnx file"];
  try {
    return [...new Set(inspectModel(bytes, limits))];
  } catch (error) {
    if (error instanceof MalformedProtobuf) return [`is not an ONNX file: it ${error.message}`];
    throw error;
  }
}

function inspectModel(bytes: Uint8Array, limits: GraphLimits): string[] {
  const faults: string[] = [];
  let fieldCount = 0;
  let nodeCount = 0;

  function* fieldsOf(message: Uint8Array): Generator<Field> {
    for (const field of protobufFields(message)) {
      if (++fieldCount > limits.fields) throw new MalformedProtobuf(`has more than ${limits.fields} fields`);
      yield field;
    }
  }

  function model(): void {
    let graphCount = 0;
    let operatorSetCount = 0;
    for (const field of fieldsOf(bytes)) {
      if (field.number === 7 && ++graphCount === 1) graph(bytesOf(field), 0);
      if (field.number === 8) operatorSetCount++;
      if (field.number === 20) faults.push("carries training steps: export it for inference");
      if (field.number === 25) faults.push("defines functions of its own: export it with them inlined");
    }
    if (graphCount !== 1) throw new MalformedProtobuf(`has ${graphCount} graphs, not one`);
    if (operatorSetCount === 0) throw new MalformedProtobuf("names no operator set");
  }

  function graph(message: Uint8Array, depth: number): void {
    if (depth > limits.depth) throw new MalformedProtobuf(`has graphs inside graphs, more than ${limits.depth} deep`);
    for (const field of fieldsOf(message)) {
      if (field.number === 1) node(bytesOf(field), depth);
      if (field.number === 5) tensor(bytesOf(field));
      if (field.number === 15) faults.push("has sparse tensors, which are not taken");
    }
  }

  function node(message: Uint8Array, depth: number): void {
    if (++nodeCount > limits.nodes) throw new MalformedProtobuf(`has more than ${limits.nodes} nodes`);
    const inputs: string[] = [];
    const operators: string[] = [];
    for (const field of fieldsOf(message)) {
      if (field.number === 1) inputs.push(textOf(field));
      if (field.number === 4) operators.push(textOf(field));
      if (field.number === 5) attribute(bytesOf(field), depth);
      if (field.number === 7 && !DOMAINS.has(textOf(field)))
        faults.push(`uses the operator domain "${textOf(field)}", which no engine here knows`);
    }
    for (const operator of operators) {
      const reason = REFUSED.get(operator);
      if (reason !== undefined) faults.push(`uses the operator ${operator}, which ${reason}`);
      if (operator === "Dropout" && inputs[2]) faults.push("uses Dropout as in training, which draws random numbers");
    }
  }

  function attribute(message: Uint8Array, depth: number): void {
    let valueCount = 0;
    for (const field of fieldsOf(message)) {
      if ((field.number === 5 || field.number === 6) && ++valueCount > 1)
        throw new MalformedProtobuf("has an attribute of two values");
      if (field.number === 5 || field.number === 10) tensor(bytesOf(field));
      if (field.number === 6 || field.number === 11) graph(bytesOf(field), depth + 1);
      if (field.number === 22 || field.number === 23) faults.push("has sparse tensors, which are not taken");
    }
  }

  function tensor(message: Uint8Array): void {
    let name = "";
    let elements = 1;
    let type = 0;
    let raw: Uint8Array | undefined;
    let held = 0;
    for (const field of fieldsOf(message)) {
      if (field.number === 1) for (const size of varintsOf(field)) elements *= size < 0 ? Number.NaN : size;
      if (field.number === 2 && field.kind === "varint") type = field.value;
      if (field.number === 8) name = textOf(field);
      if (field.number === 9) raw = bytesOf(field);
      if (HOLDS_DATA.has(field.number)) held += heldBy(field);
      if (field.number === 13 || (field.number === 14 && field.kind === "varint" && field.value !== 0))
        faults.push("keeps weights in another file: export it as one file");
    }
    if (!(elements <= limits.elements))
      return void faults.push(
        `has the tensor "${name}" of ${elements} elements; at most ${limits.elements} are allowed`,
      );
    const width = ELEMENT_BYTES.get(type);
    const short =
      raw !== undefined
        ? width !== undefined && raw.length !== elements * width
        : (width !== undefined || type === STRING) && held !== elements * (COMPLEX.includes(type) ? 2 : 1);
    if (short) faults.push(`has the tensor "${name}" whose data does not fit its ${elements} elements`);
  }

  model();
  return faults;
}

/** The fields of a TensorProto that hold elements, but for `raw_data`. */
const HOLDS_DATA = new Set([4, 5, 6, 7, 10, 11]);

function heldBy(field: Field): number {
  if (field.kind !== "bytes" || field.number === 6) return 1;
  if (field.number === 4) return field.bytes.length / 4;
  if (field.number === 10) return field.bytes.length / 8;
  return countVarints(field.bytes);
}

function bytesOf(field: Field): Uint8Array {
  if (field.kind !== "bytes") throw new MalformedProtobuf(`has a number where field ${field.number} holds bytes`);
  return field.bytes;
}

function textOf(field: Field): string {
  const text = parseUtf8(bytesOf(field));
  if (text === undefined) throw new MalformedProtobuf("has a name that is not UTF-8");
  return text;
}

function varintsOf(field: Field): Iterable<number> {
  if (field.kind === "varint") return [field.value];
  return packedVarints(bytesOf(field));
}
