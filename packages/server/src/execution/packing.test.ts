import { DATATYPES, type Datatype } from "@tallystick/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pack, unpack } from "./packing.ts";

const names = Object.keys(DATATYPES).filter((name): name is Datatype => name in DATATYPES);
const tensor = fc.record({
  name: fc.string(),
  datatype: fc.constantFrom(...names),
  shape: fc.array(fc.nat(9)),
  data: fc.uint8Array({ maxLength: 40 }),
});

test("calls come out of their buffer as they went in, each tensor where any typed array may start", () => {
  fc.assert(
    fc.property(fc.array(fc.array(tensor)), (calls) => {
      const unpacked = unpack(structuredClone(pack(calls)));
      expect(unpacked).toEqual(calls);
      for (const { data } of unpacked.flat()) expect(data.byteOffset % 8).toBe(0);
    }),
  );
});
