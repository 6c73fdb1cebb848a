import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseCheckpoint, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { enrolRelier, relianceOn, submit } from "./requester.ts";

const CREDIT = "statlog/credit-default";

const usageOf = async (network: TestNetwork) => (await network.fetch("/v1/usage")).text();

/** Calls, one relied on, of which some have a day and some have none yet. */
async function use(network: TestNetwork): Promise<void> {
  const { receiptId = "" } = await network.infer(CREDIT, [creditInput(1)]);
  await network.infer(CREDIT, [creditInput(2)], { parameters: { traffic: "test" } });
  await network.idle();
  await submit(network, await relianceOn(receiptId, await enrolRelier(network)));
  await network.closeEpoch();
  await network.infer(CREDIT, [creditInput(3)]);
  await network.idle();
}

test("the figures are the same bytes after a restart, without projections, and with damaged or foreign ones", async () => {
  await using network = await startNetwork();
  await use(network);
  const figures = await usageOf(network);
  expect(JSON.parse(figures)).toMatchObject({ totals: { gross: 3, valid: 2, decisionsReliedOn: 1 } });
  await using other = await startNetwork();
  await use(other);
  await other.infer(CREDIT, [creditInput()]);
  await other.stop();
  const projections = join(network.data, "projections");
  const fold = join(projections, "fold");
  const between: Record<string, () => Promise<unknown>> = {
    "as it is": async () => {},
    "without projections": () => rm(projections, { recursive: true }),
    "with a snapshot cut short": async () => writeFile(fold, (await readFile(fold)).subarray(0, 999)),
    "with a byte changed in it": async () => {
      const bytes = await readFile(fold);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(fold, bytes);
    },
    "with that of another log": () => cp(join(other.data, "projections", "fold"), fold),
  };
  for (const [how, meanwhile] of Object.entries(between)) {
    await network.restart(meanwhile);
    expect(await usageOf(network), how).toBe(figures);
  }
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("all figures are provisional while a day in them is not closed, and say which", async () => {
  const clock = createTestClock(Date.UTC(2026, 10, 20, 12));
  await using network = await startNetwork({ clock });
  const meta = async () => {
    const { clock, meta } = JSON.parse(await usageOf(network));
    return { clock, provisional: meta.provisional, openDays: meta.open_days };
  };
  await network.infer(CREDIT, [creditInput(1)]);
  await network.idle();
  expect(await meta()).toEqual({ clock: "witnesses", provisional: true, openDays: ["open"] });
  await network.closeEpoch();
  expect(await meta()).toEqual({ clock: "witnesses", provisional: true, openDays: ["2026-11-20"] });
  clock.advance(3 * 86_400_000);
  await network.infer(CREDIT, [creditInput(2)]);
  await network.idle();
  await network.closeEpoch();
  expect(await meta()).toEqual({ clock: "witnesses", provisional: true, openDays: ["2026-11-23"] });
});

test("what no epoch covers is counted as open, and moves to its day once one does", async () => {
  const clock = createTestClock(Date.UTC(2026, 10, 22, 23, 59, 50));
  await using network = await startNetwork({ clock });
  const days = async () => {
    const { days, today } = JSON.parse(await usageOf(network)) as {
      days: { day: string; valid: number }[];
      today: string;
    };
    return { today, days: days.map(({ day, valid }) => [day, valid]) };
  };
  await network.infer(CREDIT, [creditInput(1)]);
  await network.idle();
  expect(await days()).toEqual({ today: null, days: [["open", 1]] });
  await network.closeEpoch();
  expect(await days()).toEqual({ today: "2026-11-22", days: [["2026-11-22", 1]] });
  clock.advance(20_000);
  await network.infer(CREDIT, [creditInput(2)]);
  await network.infer(CREDIT, [creditInput(3)]);
  await network.idle();
  expect(await days()).toEqual({
    today: "2026-11-22",
    days: [
      ["2026-11-22", 1],
      ["open", 2],
    ],
  });
  await network.restart();
  expect(await days()).toMatchObject({
    days: [
      ["2026-11-22", 1],
      ["open", 2],
    ],
  });
  await network.closeEpoch();
  expect(await days()).toEqual({
    today: "2026-11-23",
    days: [
      ["2026-11-22", 1],
      ["2026-11-23", 2],
    ],
  });
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("while calls come in, the figures and the checkpoint beside them are always of one size", async () => {
  await using network = await startNetwork();
  let running = true;
  const calls = Promise.all(
    Array.from({ length: 4 }, async (_, lane) => {
      for (let i = 0; running; i++)
        expect((await network.infer(CREDIT, [creditInput(lane * 1e6 + i)])).status).toBe(200);
    }),
  );
  const sizes = new Set<number>();
  while (sizes.size < 12) {
    const { size, meta } = JSON.parse(await usageOf(network)) as {
      size: number;
      meta: { size: number; checkpoint: string };
    };
    expect(meta.size).toBe(size);
    expect(parseCheckpoint(utf8(meta.checkpoint)).size).toBe(size);
    sizes.add(size);
  }
  running = false;
  await calls;
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test("a new network shows zeros, and every model as idle", async () => {
  await using network = await startNetwork();
  expect(JSON.parse(await usageOf(network))).toMatchObject({
    totals: {
      gross: 0,
      valid: 0,
      requesters: 0,
      decisionsReliedOn: 0,
      decisionsEnforced: 0,
      models: 2,
      activeModels: 0,
      idleModels: 2,
    },
    days: [],
    exclusions: {},
    equivocations: 0,
    clock: "witnesses",
    meta: { provisional: false, origin: network.origin },
  });
});
