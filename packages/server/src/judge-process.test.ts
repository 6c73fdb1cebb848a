import { expect, test } from "vitest";
import type { Claim } from "./execution/claim.ts";
import { createJudgeProcess } from "./judge-process.ts";

const claim = { manifest: {} } as Claim;
const noReport = () => {};

test("what is asked while it closes starts no process, which nobody would end", async () => {
  let prepared = () => {};
  const preparing = new Promise<void>((resolve) => {
    prepared = resolve;
  });
  const judge = createJudgeProcess({ folder: "", prepare: () => preparing, report: noReport });
  const refused = expect(judge.reexecute(claim)).rejects.toThrow("the judge is closed");
  await judge.close();
  prepared();
  await refused;
  await expect(judge.reexecute(claim)).rejects.toThrow("the judge is closed");
});
