import type { PublishedModel } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createTestClock } from "../../../../test/network.ts";
import { createLoading, type LoadingLimits } from "./loading.ts";

const model = (byte: number) =>
  ({ revision: Uint8Array.of(byte), manifest: { name: `m/${byte}` } }) as unknown as PublishedModel;

/** A loading whose models are ready when the test says so. */
function open(limits: Partial<LoadingLimits> = {}) {
  const clock = createTestClock();
  const begun: { byte: number; done(): void; fail(error: Error): void }[] = [];
  const prepare = ({ revision }: PublishedModel) =>
    new Promise<void>((done, fail) => void begun.push({ byte: revision[0] ?? 0, done, fail }));
  return { clock, begun, loading: createLoading({ prepare, clock, limits }) };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a model is loaded once for all who wait, each is told what it waited, and later calls wait for nothing", async () => {
  const { clock, begun, loading } = open();
  const first = loading.load(model(1));
  clock.advance(30);
  const second = loading.load(model(1));
  clock.advance(12);
  begun[0]?.done();
  expect(await Promise.all([first, second])).toEqual([
    { queueMs: 0, loadMs: 42 },
    { queueMs: 0, loadMs: 12 },
  ]);
  expect(await loading.load(model(1))).toEqual({ queueMs: 0, loadMs: 0 });
  expect(begun).toHaveLength(1);
});

test("no more models load at once than may, and the wait for a turn is told apart from the loading", async () => {
  const { clock, begun, loading } = open({ atOnce: 1 });
  const first = loading.load(model(1));
  const second = loading.load(model(2));
  await turn();
  expect(begun.map(({ byte }) => byte)).toEqual([1]);
  clock.advance(5);
  begun[0]?.done();
  await first;
  await turn();
  clock.advance(7);
  begun[1]?.done();
  expect(await second).toEqual({ queueMs: 5, loadMs: 7 });
});

test("one call too many is refused, and so is one whose model takes too long; the model goes on loading", async () => {
  const { begun, loading } = open({ waiting: 1, withinMs: 5 });
  const first = loading.load(model(1));
  await expect(loading.load(model(2))).rejects.toMatchObject({ code: "unavailable" });
  await expect(first).rejects.toThrow(/not loaded within 5 ms/);
  begun[0]?.done();
  await turn();
  expect(await loading.load(model(1))).toEqual({ queueMs: 0, loadMs: 0 });
});

test("a model that did not load is tried again by the next call", async () => {
  const { begun, loading } = open();
  const first = loading.load(model(1));
  begun[0]?.fail(new Error("no file"));
  await expect(first).rejects.toThrow("no file");
  const again = loading.load(model(1));
  begun[1]?.done();
  await again;
});
