import { expect, test } from "vitest";
import { compiled, saidBy } from "../../../test/own-process.ts";
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

test.skipIf(process.platform === "win32")(
  "while the system starts no process nothing is judged, and the next claim gets one",
  async () => {
    const script = `
      import { createJudgeProcess } from ${compiled("server/dist/judge-process.js")};
      const judge = createJudgeProcess({ folder: "", prepare: async () => {}, report: () => {} });
      const ask = () => judge.reexecute({ manifest: {} }).catch(({ message }) => message);
      const feed = starve();
      const refused = await ask();
      feed();
      say([refused, await ask()]);
      await judge.close();
    `;
    expect(await saidBy(script)).toEqual([
      expect.stringContaining("no process could be started"),
      expect.stringContaining("the judge could not look at it"),
    ]);
  },
);
