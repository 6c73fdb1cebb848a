import { expect, test } from "vitest";
import { Findings } from "./findings.ts";

test("what is wrong with the whole comes first, then entry by entry", () => {
  const findings = new Findings();
  findings.report("signature", "late", 7);
  findings.report("tile", "missing", 0);
  findings.report("root", "another");
  expect(findings.inOrder()).toEqual([
    { check: "root", detail: "another" },
    { check: "tile", index: 0, detail: "missing" },
    { check: "signature", index: 7, detail: "late" },
  ]);
});

test("a flood of findings of one check does not crowd out the one that they follow from", () => {
  const findings = new Findings();
  for (let index = 4; index < 100_000; index++) findings.report("signer", "no key before it", index);
  findings.report("signature", "the key's enrolment does not hold", 3);
  const found = findings.inOrder();
  expect(found[0]).toMatchObject({ check: "signature", index: 3 });
  expect(found).toHaveLength(1_001);
});
