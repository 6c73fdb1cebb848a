/**
 * Which values of a witness the constraints leave no choice of, once the inputs are chosen: deduced from the ACIR alone, by
 * rules that each hold for every assignment. A circuit whose returned values are all determined proves one answer to an
 * input; that it is the right one, the interpreter and the honest solver show.
 */
import { FIELD_MODULUS as P } from "@tallystick/protocol";
import type { Acir, Constraint, Expression } from "./acir.ts";

/** A sum of products of at most two determined values, by "", "a" or "a,b". Coefficients are elements, none of them 0. */
type Polynomial = Map<string, bigint>;

export type Deduction = {
  determined: Set<number>;
  /** Hints d⁻¹ of a test whether d is 0: where it is, any value will do, and nothing else reads it. */
  inverses: Set<number>;
};

/** What follows from the inputs, public and private. */
export function deduce(acir: Acir): Deduction {
  const determined = new Set([...acir.privateInputs, ...acir.publicInputs.filter((a) => !acir.returned.includes(a))]);
  const state: State = { ...indexOf(acir.constraints), determined, inverses: new Set() };
  for (let size = -1; size !== determined.size; ) {
    size = determined.size;
    for (const one of acir.constraints) if (one.kind !== "zero") followFunction(state, one);
    for (const sum of state.sums) {
      const unknown = onlyUnknown(sum, (a) => determined.has(a));
      if (unknown !== undefined) determined.add(unknown);
    }
    for (const hint of acir.hinted) if (!determined.has(hint) && !state.inverses.has(hint)) followHint(state, hint);
  }
  return { determined, inverses: state.inverses };
}

/** Something that has to be 0, and the witnesses it is about. */
type Sum = { polynomial: Polynomial; places: number[] };
/** h = [d = 0], by the hint of d's inverse. */
type ZeroTest = { inverse: number; tested: Polynomial; isZero: number };
export type Index = {
  sums: Sum[];
  sumsOf(a: number): Sum[];
  bits: Map<number, number>;
  tables: Map<number, number[]>;
  reads: (Constraint & { kind: "read" })[];
  /** The tests in which a witness is the inverse, or among what is tested. */
  testsOf(a: number): ZeroTest[];
};
type State = Index & Deduction;

/** The constraints, by what they are about. */
export function indexOf(constraints: readonly Constraint[]): Index {
  const index: Pick<Index, "sums" | "bits" | "tables" | "reads"> = {
    ...{ sums: [], bits: new Map(), tables: new Map(), reads: [] },
  };
  for (const one of constraints) {
    if (one.kind === "zero")
      index.sums.push({ polynomial: polynomialOf(one.expression), places: [...new Set(witnessesOf(one))] });
    else if (one.kind === "range") index.bits.set(one.a, Math.min(one.bits, index.bits.get(one.a) ?? one.bits));
    else if (one.kind === "table") index.tables.set(one.table, one.contents);
    else if (one.kind === "read") index.reads.push(one);
  }
  const about = group(index.sums, ({ places }) => places);
  const sumsOf = (a: number) => about.get(a) ?? [];
  const inverses = [...about].filter(([, sums]) => sums.length === 1).map(([a]) => zeroTestOf(sumsOf, a));
  const tests = inverses.filter((test) => test !== undefined);
  const testsAbout = group(tests, ({ inverse, tested }) => [inverse, ...[...tested.keys()].flatMap(placesOf)]);
  return { ...index, sumsOf, testsOf: (a) => testsAbout.get(a) ?? [] };
}

function group<T>(values: readonly T[], keys: (value: T) => number[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const value of values)
    for (const key of new Set(keys(value))) groups.set(key, [...(groups.get(key) ?? []), value]);
  return groups;
}

/**
 * The bits that an input is held to, once raised: itself, or its sum with a number, is checked to be of so many, or it is
 * an index into a list of no more than they count.
 */
export function boundOf(
  { sumsOf, bits, reads, tables }: Index,
  input: number,
): { bits: number; lift: bigint } | undefined {
  const own = bits.get(input);
  if (own !== undefined) return { bits: own, lift: 0n };
  const length = tables.get(reads.find(({ index }) => index === input)?.table ?? -1)?.length;
  if (length !== undefined) return { bits: (length - 1).toString(2).length, lift: 0n };
  for (const { polynomial, places } of sumsOf(input)) {
    const [raised, ...others] = places.filter((a) => a !== input);
    const width = bits.get(raised ?? input);
    const lift = polynomial.get("") ?? 0n;
    if (raised === undefined || others.length > 0 || width === undefined) continue;
    if (isEqual(polynomial, add(add(constantOf(lift), lone(input)), scale(lone(raised), -1n))))
      return { bits: width, lift };
  }
  return undefined;
}

/** Every witness that a constraint is about, its own results among them. */
export function witnessesOf(constraint: Constraint): number[] {
  switch (constraint.kind) {
    case "zero": {
      const { products, terms } = constraint.expression;
      return [...products.flatMap(({ a, b }) => [a, b]), ...terms.map(({ a }) => a)];
    }
    case "range":
      return [constraint.a];
    case "permutation":
      return [...constraint.inputs, ...constraint.outputs];
    case "table":
      return constraint.contents;
    case "read":
      return [constraint.index, constraint.value];
  }
}

/** A function's result, once all that it is of is determined. */
function followFunction({ determined, tables }: State, constraint: Constraint): void {
  if (constraint.kind === "permutation" && constraint.inputs.every((a) => determined.has(a)))
    for (const output of constraint.outputs) determined.add(output);
  if (constraint.kind === "read" && determined.has(constraint.index)) {
    const contents = tables.get(constraint.table);
    if (contents?.every((a) => determined.has(a))) determined.add(constraint.value);
  }
}

/** The unknown that stands alone in a sum: its coefficient is a number that is not 0. */
function onlyUnknown({ polynomial, places }: Sum, isKnown: (a: number) => boolean): number | undefined {
  const [unknown, ...others] = places.filter((a) => !isKnown(a));
  if (unknown === undefined || others.length > 0) return undefined;
  const isAlone = polynomial.has(`${unknown}`) && [...cofactor(polynomial, unknown).keys()].join() === "";
  return isAlone ? unknown : undefined;
}

/** Whether a hint can be one thing only: whichever it is said to be, the constraints around it fit at most one. */
function followHint(state: State, hint: number): void {
  if (followZeroTest(state, hint) || followQuotient(state, hint)) return;
  const candidates = candidatesOf(state, hint);
  if (candidates === undefined) return;
  const cases = candidates.map((candidate) => supposeRanges(state, hint, candidate));
  const isOne = cases.every((some, i) => cases.slice(i + 1).every((others) => exclude(some, others)));
  if (isOne) state.determined.add(hint);
}

/**
 * i of the test whether d is 0: d·i + h − 1 = 0 and d·h = 0. Where d is 0 the first says h = 1; else the second says h = 0.
 * So h is determined by d, and i only matters where it is d's inverse.
 */
function followZeroTest({ testsOf, determined, inverses }: State, hint: number): boolean {
  const test = testsOf(hint).find(({ inverse }) => inverse === hint);
  if (test === undefined || ![...test.tested.keys()].every((key) => areKnown(key, determined))) return false;
  determined.add(test.isZero);
  inverses.add(hint);
  return true;
}

/** The test that `inverse` is the hint of, where it is one, and nothing else reads it. */
function zeroTestOf(sumsOf: (a: number) => Sum[], inverse: number): ZeroTest | undefined {
  const [using] = sumsOf(inverse);
  if (using === undefined) return undefined;
  const rest = [...using.polynomial].filter(([key]) => !placesOf(key).includes(inverse));
  const isZero = rest.map(([key]) => key).find((key) => key !== "" && !key.includes(","));
  if (isZero === undefined || rest.length !== 2) return undefined;
  if (using.polynomial.get("") !== P - 1n || using.polynomial.get(isZero) !== 1n) return undefined;
  const tested = cofactor(using.polynomial, inverse);
  if ([...tested.keys()].some((key) => key.includes(",") || key === `${inverse}`)) return undefined;
  const due = times(tested, Number(isZero));
  const isHeld = sumsOf(Number(isZero)).some(({ polynomial }) => isEqual(polynomial, due));
  return isHeld ? { inverse, tested, isZero: Number(isZero) } : undefined;
}

/**
 * q of k = 2ⁿ·q + r, with r of n bits, and t = Q − q of few bits, as q is: so q ≤ Q = ⌊(p−1)/2ⁿ⌋. Two pairs can only give
 * the same k where one of them gives k + p, which has q = Q and r ≥ p − 2ⁿ·Q. That is what the last constraint excludes:
 * (r + c)·[q = Q] is of m bits, and 2ᵐ − 1 − c is less.
 */
function followQuotient({ sumsOf, testsOf, bits, determined }: State, q: number): boolean {
  const bitsOf = (a: number) => bits.get(a) ?? 254;
  for (const { polynomial, places } of sumsOf(q)) {
    const [r, ...others] = places.filter((a) => a !== q && !determined.has(a));
    if (r === undefined || others.length > 0 || [...polynomial.keys()].some((key) => key.includes(","))) continue;
    const n = BigInt(bitsOf(r));
    if (polynomial.get(`${q}`) !== fieldOf(-(1n << n)) || polynomial.get(`${r}`) !== P - 1n) continue;
    const most = (P - 1n) >> n;
    const left = new Map([
      ["", most],
      [`${q}`, P - 1n],
    ]);
    const isBounded = sumsOf(q).some((sum) => {
      const [t, ...more] = sum.places.filter((a) => a !== q);
      if (t === undefined || more.length > 0 || bitsOf(q) > 251 || bitsOf(t) > 251) return false;
      return isEqual(sum.polynomial, add(left, new Map([[`${t}`, P - 1n]])));
    });
    const isLast = testsOf(q).filter(({ tested }) => isEqual(tested, left) || isEqual(tested, scale(left, -1n)));
    const isCut = isLast.some(({ isZero: h }) =>
      sumsOf(h).some((sum) => {
        const [u, ...more] = sum.places.filter((a) => a !== h && a !== r);
        const c = sum.polynomial.get(`${h}`) ?? 0n;
        if (u === undefined || more.length > 0) return false;
        const due = new Map([
          [keyOf(h, r), 1n],
          [`${h}`, c],
          [`${u}`, P - 1n],
        ]);
        return isEqual(sum.polynomial, due) && c < 1n << 251n && (1n << BigInt(bitsOf(u))) - 1n - c < P - (most << n);
      }),
    );
    if (!isBounded || !isCut) continue;
    determined.add(q).add(r);
    return true;
  }
  return false;
}

/** All that a hint can be: 0 or 1 where it is its own square; else the numbers one of which it is tested to be. */
function candidatesOf({ sumsOf, testsOf }: State, hint: number): bigint[] | undefined {
  const square = new Map([
    [keyOf(hint, hint), 1n],
    [`${hint}`, P - 1n],
  ]);
  if (sumsOf(hint).some(({ polynomial }) => isEqual(polynomial, square))) return [0n, 1n];
  const tests = testsOf(hint).filter(({ tested }) =>
    isEqual(tested, add(constantOf(tested.get("") ?? 0n), lone(hint))),
  );
  const isOneOfThem = new Map(tests.map(({ isZero }) => [`${isZero}`, 1n]));
  const due = add(isOneOfThem, constantOf(-1n));
  const [first] = tests;
  if (first === undefined || !sumsOf(first.isZero).some(({ polynomial }) => isEqual(polynomial, due))) return undefined;
  return tests.map(({ tested }) => fieldOf(-(tested.get("") ?? 0n)));
}

type Range = { value: Polynomial; bits: number };

/** What would have to be of how many bits, were `hint` to be `candidate`. */
function supposeRanges(state: State, hint: number, candidate: bigint): Range[] {
  const { sumsOf, testsOf, determined, bits, tables, reads } = state;
  const supposed = new Map<number, Polynomial>();
  const isKnown = (a: number) => determined.has(a) || supposed.has(a);
  const waiting: number[] = [];
  const suppose = (a: number, value: Polynomial) => {
    if (isKnown(a)) return;
    supposed.set(a, value);
    waiting.push(a);
  };
  suppose(hint, constantOf(candidate));
  for (const { tested, isZero } of testsOf(hint)) {
    const value = substitute(tested, supposed);
    if (value !== undefined && [...value.keys()].every((key) => key === ""))
      suppose(isZero, constantOf(value.size === 0 ? 1n : 0n));
  }
  for (const { index, table, value } of reads) {
    const place = index === hint ? tables.get(table)?.[Number(candidate)] : undefined;
    if (place !== undefined && determined.has(place)) suppose(value, lone(place));
  }
  for (const next of waiting)
    for (const sum of sumsOf(next)) {
      const unknown = onlyUnknown(sum, isKnown);
      if (unknown === undefined) continue;
      const rest = new Map(sum.polynomial);
      rest.delete(`${unknown}`);
      const value = substitute(rest, supposed);
      if (value !== undefined) suppose(unknown, scale(value, -inverseOf(sum.polynomial.get(`${unknown}`) ?? 1n)));
    }
  return [...supposed].flatMap(([a, value]) => {
    const width = bits.get(a);
    return width === undefined ? [] : [{ value, bits: width }];
  });
}

/** Whether two suppositions cannot both hold: something of each would have to be 0 or more, and their sum is below 0. */
function exclude(some: readonly Range[], others: readonly Range[]): boolean {
  return some.some((one) =>
    others.some((other) => other.bits < 252 && one.bits < 252 && isEqual(add(one.value, other.value), constantOf(-1n))),
  );
}

function polynomialOf({ products, terms, constant }: Expression): Polynomial {
  const sum: Polynomial = new Map();
  for (const { coefficient, a, b } of products) put(sum, keyOf(a, b), coefficient);
  for (const { coefficient, a } of terms) put(sum, `${a}`, coefficient);
  put(sum, "", constant);
  return sum;
}

function put(sum: Polynomial, key: string, coefficient: bigint): void {
  const next = fieldOf((sum.get(key) ?? 0n) + coefficient);
  if (next === 0n) sum.delete(key);
  else sum.set(key, next);
}

const keyOf = (a: number, b: number) => (a < b ? `${a},${b}` : `${b},${a}`);
const placesOf = (key: string) => (key === "" ? [] : key.split(",").map(Number));
const areKnown = (key: string, known: ReadonlySet<number>) => placesOf(key).every((a) => known.has(a));
const fieldOf = (value: bigint) => ((value % P) + P) % P;
const constantOf = (value: bigint): Polynomial => (fieldOf(value) === 0n ? new Map() : new Map([["", fieldOf(value)]]));
const lone = (a: number): Polynomial => new Map([[`${a}`, 1n]]);
const isEqual = (one: Polynomial, other: Polynomial) =>
  one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);

/** What `a` is multiplied by. */
function cofactor(sum: Polynomial, a: number): Polynomial {
  const factor: Polynomial = new Map();
  for (const [key, coefficient] of sum) {
    const places = placesOf(key);
    const at = places.indexOf(a);
    if (at >= 0) put(factor, places.filter((_, i) => i !== at).join(), coefficient);
  }
  return factor;
}

function times(sum: Polynomial, a: number): Polynomial {
  return new Map([...sum].map(([key, value]) => [key === "" ? `${a}` : keyOf(Number(key), a), value]));
}

function scale(sum: Polynomial, by: bigint): Polynomial {
  return new Map([...sum].map(([key, value]) => [key, fieldOf(value * by)]));
}

function add(one: Polynomial, other: Polynomial): Polynomial {
  const sum = new Map(one);
  for (const [key, value] of other) put(sum, key, value);
  return sum;
}

/** The sum with values for some of its witnesses; undefined where a product would be of more than two. */
function substitute(sum: Polynomial, values: ReadonlyMap<number, Polynomial>): Polynomial | undefined {
  const result: Polynomial = new Map();
  for (const [key, coefficient] of sum) {
    let product: Polynomial = constantOf(coefficient);
    for (const a of placesOf(key)) {
      const next: Polynomial = new Map();
      for (const [left, x] of product)
        for (const [right, y] of values.get(a) ?? new Map([[`${a}`, 1n]])) {
          const places = [...placesOf(left), ...placesOf(right)].sort((one, other) => one - other);
          if (places.length > 2) return undefined;
          put(next, places.join(), x * y);
        }
      product = next;
    }
    for (const [of, value] of product) put(result, of, value);
  }
  return result;
}

/** By Fermat: a^(p−2). */
function inverseOf(a: bigint): bigint {
  let [result, power] = [1n, fieldOf(a)];
  for (let rest = P - 2n; rest > 0n; rest >>= 1n, power = (power * power) % P)
    if (rest & 1n) result = (result * power) % P;
  return result;
}
