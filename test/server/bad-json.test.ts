import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { creditInput, type TestNetwork } from "../network.ts";
import {
  CREDIT,
  expectRefusal,
  expectUnharmed,
  invalid,
  PRICED,
  post,
  type Refusal,
  startRefusingNetwork,
} from "./refusals.ts";

let network: TestNetwork;
beforeAll(async () => {
  ({ network } = await startRefusingNetwork());
});
afterAll(() => network[Symbol.asyncDispose]());
afterEach(() => expectUnharmed(network));

const input = creditInput();
const changed = (changes: object) => JSON.stringify({ inputs: [{ ...input, ...changes }] });
const withParameters = (parameters: object) => JSON.stringify({ inputs: [input], parameters });

const BODIES: Record<string, { body: BodyInit; refusal: Refusal }> = {
  "an empty body": { body: "", refusal: invalid(/the body is not JSON/) },
  "truncated JSON": { body: changed({}).slice(0, -3), refusal: invalid(/the body is not JSON/) },
  "text that is no JSON": { body: "features=1", refusal: invalid(/the body is not JSON/) },
  "bytes that are not UTF-8": {
    body: Buffer.from(changed({ name: "é" }), "latin1"),
    refusal: invalid(/the body is not UTF-8/),
  },
  "JSON nested deeper than it may be": { body: "[".repeat(200_000), refusal: invalid(/nested more than 64 deep/) },
  "a body that is no object": { body: "[]", refusal: invalid(/the body: .*object/) },
  null: { body: "null", refusal: invalid(/the body: .*object/) },
  "a body without inputs": { body: "{}", refusal: invalid(/inputs/) },
  "inputs that are no list": { body: '{"inputs":{}}', refusal: invalid(/inputs: .*array/) },
  "no input at all": {
    body: '{"inputs":[]}',
    refusal: invalid(/takes "features" of FP32 \[-1,52\]; the call has no inputs/),
  },
  "an unknown member": {
    body: JSON.stringify({ inputs: [input], model: "x" }),
    refusal: invalid(/model cannot be honoured here: leave it out/),
  },
  "an unknown member of a tensor": {
    body: changed({ dtype: "FP32" }),
    refusal: invalid(/dtype in inputs\.0 cannot be honoured/),
  },
  "an unknown parameter": {
    body: withParameters({ temperature: 1 }),
    refusal: invalid(/temperature in parameters cannot be honoured/),
  },
  "an unknown parameter of a tensor": {
    body: changed({ parameters: { binary_data_size: 8 } }),
    refusal: invalid(/binary_data_size/),
  },
  "an input of another name": {
    body: changed({ name: "feature" }),
    refusal: invalid(/takes "features" of FP32 .*; the call has "feature"/),
  },
  "an input without a name": { body: changed({ name: undefined }), refusal: invalid(/inputs\.0\.name/) },
  "an input named twice": { body: JSON.stringify({ inputs: [input, input] }), refusal: invalid(/named twice/) },
  "an input too many": {
    body: JSON.stringify({ inputs: [input, { ...input, name: "more" }] }),
    refusal: invalid(/takes "features".*; the call has "features", "more"/),
  },
  "a datatype that there is not": {
    body: changed({ datatype: "FLOAT" }),
    refusal: invalid(/inputs\.0\.datatype: .*"FP32"/),
  },
  "a datatype of another kind": { body: changed({ datatype: "FP64" }), refusal: invalid(/takes .*FP32.*, not FP64/) },
  "a shape of too few columns": {
    body: changed({ shape: [1, 51], data: input.data.slice(1) }),
    refusal: invalid(/takes "features" of FP32 \[-1,52\], not FP32 \[1,51\]/),
  },
  "a shape of another rank": { body: changed({ shape: [52] }), refusal: invalid(/not FP32 \[52\]/) },
  "a shape without rows": { body: changed({ shape: [0, 52], data: [] }), refusal: invalid(/not FP32 \[0,52\]/) },
  "a shape with a negative size": { body: changed({ shape: [-1, 52] }), refusal: invalid(/inputs\.0\.shape/) },
  "a shape with a fraction": { body: changed({ shape: [1.5, 52] }), refusal: invalid(/inputs\.0\.shape/) },
  "a shape of more elements than there are": {
    body: changed({ shape: [2 ** 50, 52] }),
    refusal: invalid(/holds \d+ elements, with 52 in its data/),
  },
  "a shape of many dimensions": { body: changed({ shape: Array(9).fill(1) }), refusal: invalid(/inputs\.0\.shape/) },
  "too little data": { body: changed({ data: [1] }), refusal: invalid(/holds 52 elements, with 1 in its data/) },
  "data that is no list": { body: changed({ data: "1,2" }), refusal: invalid(/inputs\.0\.data/) },
  "a text among numbers": {
    body: changed({ data: ["1", ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: "1"/),
  },
  "null among numbers": {
    body: changed({ data: [null, ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: null/),
  },
  "a number past FP32": {
    body: changed({ data: [1e300, ...input.data.slice(1)] }),
    refusal: invalid(/element 0 that is not of FP32: 1e\+300/),
  },
  "data nested deeper than tensors are": {
    body: changed({ data: JSON.parse(`${"[".repeat(20)}1${"]".repeat(20)}`) }),
    refusal: invalid(/with a level .*/),
  },
  "more inputs than a call has": {
    body: JSON.stringify({ inputs: Array.from({ length: 65 }, (_, i) => ({ ...input, name: `n${i}` })) }),
    refusal: invalid(/inputs: /),
  },
  "an output that there is not": {
    body: JSON.stringify({ inputs: [input], outputs: [{ name: "score" }] }),
    refusal: invalid(/has no output "score".*"default_probability"/),
  },
  "an output named twice": {
    body: JSON.stringify({
      inputs: [input],
      outputs: [{ name: "default_probability" }, { name: "default_probability" }],
    }),
    refusal: invalid(/output is named twice/),
  },
  "a maximum price in words": { body: withParameters({ max_price: "five" }), refusal: invalid(/max_price/) },
  "half a maximum price": { body: withParameters({ max_price: 0.5 }), refusal: invalid(/max_price/) },
  "a maximum price beyond whole numbers": { body: withParameters({ max_price: 1e308 }), refusal: invalid(/max_price/) },
  "a negative maximum price": { body: withParameters({ max_price: -1 }), refusal: invalid(/max_price/) },
  "a maximum price past 64 bits": {
    body: withParameters({ max_price: "99999999999999999999" }),
    refusal: invalid(/amount|max_price/),
  },
  "a decision that is no hex": {
    body: withParameters({ decision: "loan 17" }),
    refusal: invalid(/decision: must be 32 digits of lower-case hex/),
  },
  "a traffic class that there is not": {
    body: withParameters({ traffic: "free" }),
    refusal: invalid(/traffic: .*"production"/),
  },
  "a long id": { body: JSON.stringify({ inputs: [input], id: "x".repeat(200) }), refusal: invalid(/id: /) },
};

test.each(Object.entries(BODIES))("%s is refused, and says what is wrong", async (_, { body, refusal }) => {
  await expectRefusal(await post(network, `/v2/models/${CREDIT}/infer`, body), refusal);
});

test("a call of a priced model needs a maximum price at or over it, and then costs it", async () => {
  const body = (parameters: object) =>
    JSON.stringify({ inputs: [{ ...input, shape: [1, 30], data: input.data.slice(0, 30) }], parameters });
  const ask = (parameters: object) => post(network, `/v2/models/${PRICED}/infer`, body(parameters));
  const tooDear: Refusal = {
    status: 402,
    code: "price_over_maximum",
    says: /costs 5, over the maximum of \d: set parameters.max_price/,
  };
  await expectRefusal(await ask({}), tooDear);
  await expectRefusal(await ask({ max_price: "4" }), tooDear);
  expect((await ask({ max_price: "5" })).status).toBe(200);
  expect((await ask({ max_price: 2 ** 53 - 1 })).status).toBe(200);
});
