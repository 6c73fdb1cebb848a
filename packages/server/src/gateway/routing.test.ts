import fc from "fast-check";
import { expect, test } from "vitest";
import { type Asked, type Candidate, eligible, pickNode } from "./routing.ts";

const ASKED: Asked = { revision: "aa", tier: "signed", maxPriceAtomic: 10n };
const NONE = new Set<string>();

function candidate(
  id: string,
  changes: Partial<Candidate> & { warm?: string[]; revisions?: string[] } = {},
): Candidate {
  const { warm = [], revisions = ["aa"], ...rest } = changes;
  return {
    id,
    isReady: true,
    offers: (revision) => revisions.includes(revision),
    isWarm: (revision) => warm.includes(revision),
    tiers: ["signed"],
    priceFloorAtomic: 0n,
    load: 0,
    ...rest,
  };
}

test("only a node that is ready, untried, and serves this revision, tier and price is asked", () => {
  const unfit = [
    candidate("away", { isReady: false }),
    candidate("other-weights", { revisions: ["ab"] }),
    candidate("other-tier", { tiers: ["attested"] }),
    candidate("dear", { priceFloorAtomic: 11n }),
    candidate("tried"),
  ];
  expect(pickNode(unfit, ASKED, new Set(["tried"]), () => 0)).toBeUndefined();
  const fit = candidate("fit", { priceFloorAtomic: 10n, load: 40 });
  expect(pickNode([...unfit, fit], ASKED, new Set(["tried"]), () => 0)).toBe(fit);
});

test("a warm node goes before an idle cold one, and an idle cold one before a warm one that is full", () => {
  const cold = candidate("cold");
  expect(pickNode([cold, candidate("warm", { warm: ["aa"], load: 0.9 })], ASKED, NONE, () => 0)?.id).toBe("warm");
  expect(pickNode([cold, candidate("warm", { warm: ["aa"], load: 1 })], ASKED, NONE, () => 0)?.id).toBe("cold");
});

test("of two that are drawn the less loaded is asked, and every pair can be drawn", () => {
  const nodes = ["a", "b", "c"].map((id, load) => candidate(id, { load: load / 10 }));
  const drawn = new Set<string>();
  for (const first of [0, 1, 2])
    for (const second of [0, 1]) {
      const draws = [first, second];
      drawn.add(pickNode(nodes, ASKED, NONE, () => draws.shift() ?? 0)?.id ?? "");
    }
  expect([...drawn].sort()).toEqual(["a", "b"]); // Never the most loaded of the three.
});

test("whatever is drawn, a node is picked where one is eligible, and it is one of those", () => {
  const nodes = fc.array(
    fc.record({ isReady: fc.boolean(), offers: fc.boolean(), warm: fc.boolean(), load: fc.double({ min: 0, max: 3 }) }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(nodes, fc.infiniteStream(fc.nat(1_000)), (rows, stream) => {
      const all = rows.map(({ isReady, offers, warm, load }, i) =>
        candidate(`n${i}`, { isReady, load, revisions: offers ? ["aa"] : [], warm: warm ? ["aa"] : [] }),
      );
      const picked = pickNode(all, ASKED, NONE, (count) => (stream.next().value ?? 0) % count);
      const able = eligible(all, ASKED, NONE);
      expect(picked === undefined).toBe(able.length === 0);
      if (picked !== undefined) expect(able).toContain(picked);
    }),
  );
});
