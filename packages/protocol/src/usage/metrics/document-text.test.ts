import fc from "fast-check";
import { expect, test } from "vitest";
import { parseUtf8 } from "../../bytes.ts";
import { encodeJson } from "../../json/canonical.ts";
import { groupTexts } from "./document-text.ts";
import type { DayDocument, Group } from "./documents.ts";
import { DIMENSIONS, PERIODS } from "./metric.ts";

/** Names that look like parts of a document: apps are called whatever their operators like. */
const key = fc.oneof(
  fc.constantFrom(
    "by",
    'by":"model',
    '{"by":"app","per":"day",',
    '],"metrics":"',
    "metrics",
    "rows",
    "start",
    "__proto__",
  ),
  fc.string({ unit: "grapheme" }),
);
const group: fc.Arbitrary<Group> = fc.record({
  per: fc.constantFrom(...PERIODS),
  start: fc.constantFrom("2026-11-22", "2026-11-22T07:00:00Z"),
  by: fc.constantFrom(...DIMENSIONS),
  rows: fc.dictionary(key, fc.constant({ inferences: [1, 1, 0, 0], revenue_net: [null, "7", "0", "0"] })),
});

test("the texts of a part of a document are those of its groups, whatever keys are called", () => {
  fc.assert(
    fc.property(fc.array(group, { maxLength: 12 }), key, (groups, name) => {
      const model = { name, version: name, publisher: "", category: name };
      const document: DayDocument = {
        ...{ metrics: "m", rules: "r", rulesDigest: "", day: "2026-11-22" },
        ...{ models: Object.fromEntries([[name, model]]), groups },
      };
      const text = parseUtf8(encodeJson(document)) ?? expect.unreachable();
      for (const per of PERIODS)
        for (const by of DIMENSIONS) {
          const own = groups.filter((one) => one.per === per && one.by === by);
          expect(groupTexts(text, per, by)).toEqual(own.map((one) => parseUtf8(encodeJson(one))));
        }
    }),
    { numRuns: 300 },
  );
});
