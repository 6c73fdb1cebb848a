/**
 * What a compiled program demands of its witness, read from its ACIR: so that a test can say which values a prover is free
 * to choose. The serialisation is Noir 1.0.0-beta.26's: a 3, then MessagePack with arrays for structs.
 */
import { numberOf } from "@tallystick/protocol";

/** Σ coefficient·a·b + Σ coefficient·a + constant, of witnesses a and b. */
export type Expression = {
  products: { coefficient: bigint; a: number; b: number }[];
  terms: { coefficient: bigint; a: number }[];
  constant: bigint;
};

/** What has to hold. A hint is none: what the solver computes without constraints stands in `hinted`. */
export type Constraint =
  | { kind: "zero"; expression: Expression }
  | { kind: "range"; a: number; bits: number }
  | { kind: "permutation"; inputs: number[]; outputs: number[] }
  /** A list that is only read, at an index which is a witness. */
  | { kind: "table"; table: number; contents: number[] }
  | { kind: "read"; table: number; index: number; value: number };

export type Acir = {
  constraints: Constraint[];
  hinted: number[];
  privateInputs: number[];
  /** The parameters that are public, then what is returned. */
  publicInputs: number[];
  returned: number[];
};

/** Reads the one circuit of a program. Throws at whatever the programs here do not have. */
export function readAcir(bytes: Uint8Array): Acir {
  if (bytes[0] !== 3) throw new Error(`a program of the serialisation ${bytes[0]}`);
  const [circuits] = list(readMessagePack(bytes.subarray(1)));
  const [circuit, ...others] = list(circuits);
  if (others.length > 0) throw new Error("a program of several circuits");
  const [, opcodes, privateInputs, publicInputs, returned] = list(circuit);
  const acir: Acir = {
    constraints: [],
    hinted: [],
    privateInputs: list(privateInputs).map(number),
    publicInputs: [...list(publicInputs), ...list(returned)].map(number),
    returned: list(returned).map(number),
  };
  for (const opcode of list(opcodes)) readOpcode(acir, opcode);
  return acir;
}

function readOpcode({ constraints, hinted }: Acir, opcode: Packed): void {
  const [kind, body] = variant(opcode);
  if (kind === "AssertZero") constraints.push({ kind: "zero", expression: expressionOf(body) });
  else if (kind === "BlackBoxFuncCall") constraints.push(blackBox(body));
  else if (kind === "MemoryInit") {
    const [table, contents] = list(body);
    constraints.push({ kind: "table", table: number(table), contents: list(contents).map(number) });
  } else if (kind === "MemoryOp") {
    const [table, operation] = list(body);
    const [isWrite, index, value] = list(operation);
    if (isWrite !== false) throw new Error("a program that writes to a list");
    constraints.push({ kind: "read", table: number(table), index: number(index), value: number(value) });
  } else if (kind === "BrilligCall") {
    const [, , outputs] = list(body);
    for (const output of list(outputs)) {
      const [size, places] = variant(output);
      hinted.push(...(size === "Simple" ? [number(places)] : list(places).map(number)));
    }
  } else throw new Error(`a program with ${kind}`);
}

function blackBox(body: Packed): Constraint {
  const [name, call] = variant(body);
  const [first, second] = list(call);
  if (name === "RANGE") return { kind: "range", a: witnessOf(first), bits: number(second) };
  if (name === "Poseidon2Permutation")
    return { kind: "permutation", inputs: list(first).map(witnessOf), outputs: list(second).map(number) };
  throw new Error(`a program with ${name}`);
}

/** An input of a black box: a constant there would be read by nothing here. */
function witnessOf(input: Packed): number {
  const [kind, place] = variant(input);
  if (kind !== "Witness") throw new Error(`a program with an input that is a ${kind}`);
  return number(place);
}

function expressionOf(packed: Packed): Expression {
  const [products, terms, constant] = list(packed);
  return {
    products: list(products).map((product) => {
      const [coefficient, a, b] = list(product);
      return { coefficient: element(coefficient), a: number(a), b: number(b) };
    }),
    terms: list(terms).map((term) => {
      const [coefficient, a] = list(term);
      return { coefficient: element(coefficient), a: number(a) };
    }),
    constant: element(constant),
  };
}

type Packed = undefined | null | boolean | number | bigint | string | Uint8Array | Packed[] | Map<string, Packed>;

function list(packed: Packed): Packed[] {
  if (Array.isArray(packed)) return packed;
  throw new Error("a program with something else where a list is due");
}

function number(packed: Packed): number {
  if (typeof packed === "number") return packed;
  throw new Error("a program with something else where a number is due");
}

function element(packed: Packed): bigint {
  if (packed instanceof Uint8Array) return numberOf(packed);
  throw new Error("a program with something else where a field element is due");
}

/** A variant of an enumeration: its name and what it has. */
function variant(packed: Packed): [name: string, body: Packed] {
  const [only, ...others] = packed instanceof Map ? packed : [];
  if (only === undefined || others.length > 0) throw new Error("a program with something else where a variant is due");
  return only;
}

/** One value of MessagePack, of the types that a program is written in. */
function readMessagePack(bytes: Uint8Array): Packed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const skip = (count: number) => {
    at += count;
    return at - count;
  };
  const take = (length: number) => bytes.subarray(skip(length), at);
  const many = (count: number) => Array.from({ length: count }, read);
  const pairs = (count: number) =>
    new Map(Array.from({ length: count }, (): [string, Packed] => [String(read()), read()]));
  const text = (length: number) => new TextDecoder().decode(take(length));

  function read(): Packed {
    const tag = view.getUint8(skip(1));
    if (tag < 0x80) return tag;
    if (tag < 0x90) return pairs(tag & 0x0f);
    if (tag < 0xa0) return many(tag & 0x0f);
    if (tag < 0xc0) return text(tag & 0x1f);
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return tag === 0xc3;
      case 0xc4:
        return take(view.getUint8(skip(1)));
      case 0xcc:
        return view.getUint8(skip(1));
      case 0xcd:
        return view.getUint16(skip(2));
      case 0xce:
        return view.getUint32(skip(4));
      case 0xcf:
        return view.getBigUint64(skip(8));
      case 0xd9:
        return text(view.getUint8(skip(1)));
      case 0xdc:
        return many(view.getUint16(skip(2)));
      case 0xdd:
        return many(view.getUint32(skip(4)));
      default:
        throw new Error(`MessagePack with the tag ${tag.toString(16)}`);
    }
  }
  return read();
}
