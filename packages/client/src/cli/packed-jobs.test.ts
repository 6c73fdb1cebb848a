import fc from "fast-check";
import { expect, test } from "vitest";
import { pack, unpack } from "./packed-jobs.ts";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const job = fc.record({ spki: bytes(0), message: bytes(3_000), signature: bytes(80) });

test("what is packed for a worker is what it unpacks, in the same order", () => {
  fc.assert(
    fc.property(
      fc.array(bytes(100), { minLength: 1, maxLength: 4 }),
      fc.array(job, { maxLength: 20 }),
      (keys, made) => {
        const jobs = made.map((some, i) => ({ ...some, spki: keys[i % keys.length] ?? some.spki }));
        expect(unpack(pack(jobs))).toEqual(jobs);
      },
    ),
  );
});

test("an entry of the largest size fits", () => {
  const jobs = [{ spki: new Uint8Array(91), message: new Uint8Array(65_535).fill(7), signature: new Uint8Array(64) }];
  expect(unpack(pack(jobs))).toEqual(jobs);
});
