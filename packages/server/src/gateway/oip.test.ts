import { DATATYPES, type Datatype, encodeCall, encodeTensorJson, type Tensor, tensorFault } from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeInferResponse, parseInferRequest, type ResponseBody } from "./oip.ts";

const HEAD = { model_name: "a/b", model_version: "1", parameters: {} };

/** A request as Triton's client writes one: JSON, and behind it the data of the tensors that are wanted in binary. */
function requestOf(tensors: readonly Tensor[], isBinary: (name: string) => boolean) {
  const inputs = tensors.map((tensor) => {
    if (!isBinary(tensor.name)) return encodeTensorJson(tensor);
    const { name, datatype, shape, data } = tensor;
    return { name, datatype, shape, parameters: { binary_data_size: data.length } };
  });
  const binary = Buffer.concat(tensors.filter(({ name }) => isBinary(name)).map(({ data }) => data));
  return { json: JSON.parse(JSON.stringify({ inputs })) as unknown, binary: new Uint8Array(binary) };
}

const FLOATS: Partial<Record<Datatype, (bytes: Uint8Array) => boolean>> = {
  FP32: (bytes) => new Float32Array(bytes.slice().buffer).every(Number.isFinite),
  FP64: (bytes) => new Float64Array(bytes.slice().buffer).every(Number.isFinite),
};

/** A tensor of any datatype; of those that JSON can say too where `json` is set. */
function tensorOf(json: boolean): fc.Arbitrary<Tensor> {
  const datatypes = (Object.keys(DATATYPES) as Datatype[]).filter((datatype) => !json || datatype !== "FP16");
  return fc.tuple(fc.constantFrom(...datatypes), fc.integer({ min: 0, max: 5 })).chain(([datatype, count]) =>
    dataOf(datatype, count)
      .filter((data) => !json || (FLOATS[datatype]?.(data) ?? true))
      .map((data) => ({ name: "x", datatype, shape: [count], data })),
  );
}

function dataOf(datatype: Datatype, count: number): fc.Arbitrary<Uint8Array> {
  if (datatype === "BOOL")
    return fc.array(fc.constantFrom(0, 1), { minLength: count, maxLength: count }).map((bits) => Uint8Array.from(bits));
  const size = count * DATATYPES[datatype];
  if (datatype !== "BYTES") return fc.uint8Array({ minLength: size, maxLength: size });
  return fc.array(fc.uint8Array({ maxLength: 9 }), { minLength: count, maxLength: count }).map((elements) => {
    const parts = elements.flatMap((element) => [Uint8Array.of(element.length, 0, 0, 0), element]);
    return new Uint8Array(Buffer.concat(parts));
  });
}

const named = (arbitrary: fc.Arbitrary<Tensor>, least = 0) =>
  fc
    .array(arbitrary, { minLength: least, maxLength: 4 })
    .map((all) => all.map((one, i) => ({ ...one, name: `t${i}` })));

test("a call is the same canonical bytes, whichever of its tensors came in binary", () => {
  fc.assert(
    fc.property(named(tensorOf(true)), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), (tensors, which) => {
      const due = encodeCall({ operation: "infer", inputs: tensors, outputs: [] });
      for (const isBinary of [() => true, () => false, (name: string) => which[Number(name.slice(1))] ?? false]) {
        const { json, binary } = requestOf(tensors, isBinary);
        const { inputs, outputs } = parseInferRequest(json, binary);
        expect(Buffer.compare(encodeCall({ operation: "infer", inputs, outputs }), due)).toBe(0);
      }
    }),
  );
});

test("tensors in binary lie over the body itself: nothing is copied, and every bit pattern arrives", () => {
  fc.assert(
    fc.property(named(tensorOf(false)), (tensors) => {
      const { json, binary } = requestOf(tensors, () => true);
      const { inputs } = parseInferRequest(json, binary);
      expect(inputs).toEqual(tensors);
      expect(inputs.every(({ data }) => data.buffer === binary.buffer)).toBe(true);
      expect(inputs.map(tensorFault)).toEqual(tensors.map(() => undefined));
    }),
  );
});

test("what a response has in binary is what the model gave, in the order of its outputs", () => {
  fc.assert(
    fc.property(named(tensorOf(false), 1), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), (tensors, which) => {
      const wants = (name: string) => which[Number(name.slice(1))] ?? false;
      const { json, binary } = takeApart(encodeInferResponse(HEAD, tensors, wants));
      expect(binary).toEqual(Buffer.concat(tensors.filter(({ name }) => wants(name)).map(({ data }) => data)));
      const listed = tensors.map((tensor) => {
        const { name, datatype, shape, data } = tensor;
        return wants(name)
          ? { name, datatype, shape, parameters: { binary_data_size: data.length } }
          : encodeTensorJson(tensor);
      });
      expect(json).toEqual(JSON.parse(JSON.stringify({ ...HEAD, outputs: listed })));
    }),
  );
});

function takeApart(body: ResponseBody): { json: unknown; binary: Buffer } {
  if ("json" in body) return { json: JSON.parse(body.json), binary: Buffer.alloc(0) };
  const bytes = Buffer.from(body.bytes);
  return {
    json: JSON.parse(bytes.subarray(0, body.jsonSizeBytes).toString()),
    binary: bytes.subarray(body.jsonSizeBytes),
  };
}

const X = { name: "x", datatype: "UINT8", shape: [2], data: [1, 2] };
const OUTPUTS: [title: string, request: object, expected: boolean[]][] = [
  ["nothing is said", {}, [false, false]],
  ["the request wants binary", { parameters: { binary_data_output: true } }, [true, true]],
  ["one output does", { outputs: [{ name: "a", parameters: { binary_data: true } }, { name: "b" }] }, [true, false]],
  [
    "the request does and one output does not",
    { parameters: { binary_data_output: true }, outputs: [{ name: "a", parameters: { binary_data: false } }] },
    [false, true],
  ],
];
test.each(OUTPUTS)("the form of the outputs, where %s", (_, request, expected) => {
  const { wantsBinary } = parseInferRequest({ inputs: [X], ...request });
  expect(["a", "b"].map(wantsBinary)).toEqual(expected);
});
