import { leafHash, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { frame, openWal } from "../../packages/server/src/log/wal.ts";
import { SimulatedDisk } from "./disk.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";

const batch = ["a", "b", "c"].map((text, index) => ({ index, entry: utf8(text), leaf: leafHash(utf8(text)) }));

/** What `promise` gives, while time goes on. */
async function pass<T>(timeline: Timeline, promise: Promise<T>): Promise<T> {
  let isDone = false;
  const done = promise.finally(() => {
    isDone = true;
  });
  await timeline.settle();
  while (!isDone && (await timeline.step()));
  return done;
}

test("what a killed process had written and not synced is durable once a start has recovered it", async () => {
  let recoveredCount = 0;
  for (let seed = 0; seed < 200; seed++) {
    const timeline = new Timeline();
    const random = new Random(seed);
    const disk = new SimulatedDisk(random, timeline);
    const open = () => pass(timeline, openWal(disk.start(undefined), "/wal", 0));
    const { wal } = await open();
    void wal.write(0, frame(batch)); // Never ends: its process does.
    await timeline.settle();
    for (let left = random.below(6); left > 0; left--) await timeline.step();
    disk.crash("kill");
    const { recovered } = await open();
    recoveredCount += recovered.length;
    disk.crash("power loss");
    expect((await open()).recovered, `seed ${seed}`).toEqual(recovered);
  }
  expect(recoveredCount).toBeGreaterThan(50);
});
