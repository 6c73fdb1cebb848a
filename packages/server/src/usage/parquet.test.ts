import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openEngine, parseResult, readMetadata } from "@tallystick/client/analytics";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { answerQuery } from "../../../client/src/analytics/database.ts";
import { parquetFormat } from "./parquet.ts";
import type { UsageAnswer } from "./schemas.ts";

const ANSWER: UsageAnswer = {
  ...{ metric: "revenue", unit: "atomic units", by: "app", per: "day", strata: ["gross", "organic"] },
  rows: [
    {
      start: "2026-11-22",
      key: "an app",
      name: "its name",
      gross: "12000000000000000000",
      organic: null,
      provisional: false,
    },
    { start: "2026-11-23", key: "plain", gross: "-5", organic: "1", provisional: true },
  ],
  meta: {
    ...{ as_of: "2026-11-22T12:00:00Z", size: 14, root: "cm9vdA==", checkpoint: "example\n14\ncm9vdA==\n\n— it's\n" },
    ...{ rules: "tallystick-organic-v2", rules_digest: "ab".repeat(32), provisional: true },
  },
};

test("a metric as Parquet has its rows, money to the last unit, and the checkpoint in its metadata", async () => {
  await using folder = await temporaryFolder();
  const engine = openEngine({ timeoutMs: 60_000 });
  try {
    const format = parquetFormat(engine.parquet);
    const path = join(folder.path, "answer.parquet");
    await writeFile(path, await format.encode(ANSWER));
    const table = { name: "answer", files: [path], columns: {} };
    const limits = { rows: 10, resultBytes: 10_000 };
    expect(parseResult(await answerQuery([table], {}, "SELECT * FROM answer", limits)).rows).toEqual([
      ["2026-11-22", "an app", "its name", "12000000000000000000", null, false],
      ["2026-11-23", "plain", null, "-5", "1", true],
    ]);
    const said = await readMetadata(path);
    const { meta, metric } = ANSWER;
    expect([said.get("tallystick.metric"), said.get("tallystick.checkpoint")]).toEqual([metric, meta.checkpoint]);
    expect([said.get("tallystick.size"), said.get("tallystick.provisional")]).toEqual(["14", "true"]);
    const shares: UsageAnswer = {
      ...ANSWER,
      unit: "share",
      rows: [{ start: "x", key: "y", gross: 0.25, organic: 1, provisional: false }],
    };
    await writeFile(path, await format.encode(shares));
    expect(parseResult(await answerQuery([table], {}, "SELECT gross, organic FROM answer", limits)).rows).toEqual([
      [0.25, 1],
    ]);
  } finally {
    await engine.close();
  }
});
