import { expect, test } from "vitest";
import { type Standing, standingAt, TCB_STATUSES, unfit, worstOf } from "./tcb-status.ts";

const at = (status: (typeof TCB_STATUSES)[number], ...advisories: string[]): Standing =>
  standingAt({ status, advisories }, "it");

test("the status is the worst of three parts, for every three, but old and to be configured is both", () => {
  for (const [p, platform] of TCB_STATUSES.entries())
    for (const [m, module] of TCB_STATUSES.entries())
      for (const [q, qe] of TCB_STATUSES.entries()) {
        const worst = Math.max(p, m, q);
        const isBoth = worst === 4 && [p, m, q].some((status) => status === 2 || status === 3);
        expect(worstOf([at(platform), at(module), at(qe)]).status).toBe(TCB_STATUSES[isBoth ? 5 : worst]);
      }
});

test("a part that reaches no level is out of date, and nothing is up to date of which nothing is known", () => {
  expect(worstOf([at("UpToDate"), standingAt(undefined, "it")]).status).toBe("OutOfDate");
  expect(worstOf([at("UpToDate"), unfit("it is another")]).status).toBe("OutOfDate");
  expect(worstOf([]).status).toBe("Revoked");
});

test("the advisories of all parts are named once", () => {
  const { advisories } = worstOf([at("OutOfDate", "INTEL-SA-1", "INTEL-SA-2"), at("OutOfDate", "INTEL-SA-2")]);
  expect(advisories).toEqual(["INTEL-SA-1", "INTEL-SA-2"]);
});
