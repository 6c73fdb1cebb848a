import { join } from "node:path";
import { fsckLog } from "@tallystick/client";
import { parseCheckpoint } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { creditInput, startNetwork } from "../network.ts";
import { flip, readLogFiles, sourceOf, tampered } from "./log-files.ts";

test("any byte changed in a checkpoint that witnesses cosigned is found, in whosever line it is", async () => {
  await using network = await startNetwork();
  await network.infer("statlog/credit-default", [creditInput()]);
  await network.closeEpoch();
  const files = await readLogFiles(join(network.data, "log", "tiles"));
  const { trust } = network;
  expect(await fsckLog(sourceOf(files), { trust })).toMatchObject({ findings: [] });
  const checkpoint = files.get("checkpoint")!;
  expect(parseCheckpoint(checkpoint).note.signatures).toHaveLength(4);
  for (let at = 0; at < checkpoint.length; at++) {
    const { findings } = await fsckLog(sourceOf(tampered(files, "checkpoint", flip(at))), { trust });
    expect(
      findings.map(({ file }) => file),
      `byte ${at}`,
    ).toContain("checkpoint");
  }
});
