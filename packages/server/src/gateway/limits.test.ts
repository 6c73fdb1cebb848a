import { expect, test } from "vitest";
import { type ApiKey, KeyTerms } from "./api-keys.ts";
import { type Admission, createLimits, durationText } from "./limits.ts";

function open(places = 100) {
  let nowMs = 1_000_000;
  return {
    limits: createLimits({ clock: { nowMs: () => nowMs }, places }),
    pass: (durationMs: number) => {
      nowMs += durationMs;
    },
  };
}

function keyWith(id: string, terms: Record<string, unknown> = {}): ApiKey {
  const times = { createdSeconds: 0, lastUsedDay: undefined, revokedSeconds: undefined };
  return { id, terms: KeyTerms.parse({ name: id, ...terms }), ...times };
}

const refused = (retryAfterMs: number) => expect.objectContaining({ code: "rate_limited", retryAfterMs });

test("a key has so many requests a minute, which come back one by one, and another key has its own", async () => {
  const { limits, pass } = open();
  const key = keyWith("a", { requestsPerMinute: 3 });
  const ask = async () => (await limits.admit(key, { estimatedUnits: 1 })).release(1);
  for (let i = 0; i < 3; i++) await ask();
  await expect(ask()).rejects.toEqual(refused(20_000));
  (await limits.admit(keyWith("b", { requestsPerMinute: 1 }), { estimatedUnits: 1 })).release(1);
  pass(19_999);
  await expect(ask()).rejects.toEqual(refused(1));
  pass(1);
  await ask();
  await expect(ask()).rejects.toEqual(refused(20_000));
  pass(-1_000_000); // A clock that is set back gives nothing and takes nothing.
  await expect(ask()).rejects.toEqual(refused(20_000));
});

test("units are estimated before a call and counted after it: what was not used comes back, what was over is a debt", async () => {
  const { limits, pass } = open();
  const key = keyWith("a", { unitsPerMinute: 600 });
  const first = await limits.admit(key, { estimatedUnits: 600 });
  await expect(limits.admit(key, { estimatedUnits: 1 })).rejects.toEqual(refused(100));
  first.release(100);
  first.release(0); // A second time does nothing.
  const second = await limits.admit(key, { estimatedUnits: 500 });
  await expect(limits.admit(key, { estimatedUnits: 1 })).rejects.toEqual(refused(100));
  second.release(800);
  await expect(limits.admit(key, { estimatedUnits: 1 })).rejects.toEqual(refused(30_100));
  pass(60_000);
  pass(30_000);
  // More than a minute's units at once is for a full bucket.
  (await limits.admit(key, { estimatedUnits: 6_000 })).release(6_000);
  await expect(limits.admit(key, { estimatedUnits: 1 })).rejects.toEqual(refused(540_100));
});

test("a key has so many calls at once, and a refused one takes nothing", async () => {
  const { limits } = open();
  const key = keyWith("a", { concurrentCalls: 2, requestsPerMinute: 4 });
  const ask = () => limits.admit(key, { estimatedUnits: 1 });
  const [one] = [await ask(), await ask()];
  for (let i = 0; i < 10; i++) await expect(ask()).rejects.toEqual(refused(1_000));
  one?.release(1);
  await ask();
});

test("one key cannot take every place, and those who wait take turns by key", async () => {
  const { limits } = open(4);
  const [greedy, other, third] = [keyWith("greedy"), keyWith("other"), keyWith("third")];
  const order: string[] = [];
  const held: Admission[] = [];
  const ask = async (key: ApiKey, name: string) => {
    const admission = await limits.admit(key, { estimatedUnits: 1 });
    order.push(name);
    held.push(admission);
  };
  const asked = ["g1", "g2", "g3", "g4", "g5"].map((name) => ask(greedy, name));
  await asked[2];
  expect(order).toEqual(["g1", "g2", "g3"]); // Three of four places, and no more.
  await ask(other, "o1");
  expect(order).toEqual(["g1", "g2", "g3", "o1"]);
  const more = [ask(other, "o2"), ask(other, "o3"), ask(third, "t1")];
  for (const admission of held) admission.release(1);
  await Promise.all([...asked, ...more.slice(0, 1), ...more.slice(2)]);
  for (const admission of held) admission.release(1);
  await Promise.all(more);
  expect(order.slice(4)).toEqual(["g4", "o2", "t1", "g5", "o3"]);
});

test("too many that wait are refused, and their units come back", async () => {
  const { limits } = open(1);
  const key = keyWith("a", { concurrentCalls: 10_000 });
  const holder = await limits.admit(keyWith("b"), { estimatedUnits: 1 });
  const waiting = Array.from({ length: 1_024 }, () => limits.admit(key, { estimatedUnits: 1 }));
  const late = keyWith("c", { requestsPerMinute: 1, unitsPerMinute: 5 });
  await expect(limits.admit(late, { estimatedUnits: 5 })).rejects.toMatchObject({ code: "unavailable" });
  holder.release(1);
  for (const one of waiting) (await one).release(1);
  (await limits.admit(late, { estimatedUnits: 5 })).release(5);
});

test("the headers say the same in both families, of what is left", async () => {
  const { limits } = open();
  const key = keyWith("a", { requestsPerMinute: 60, unitsPerMinute: 6_000 });
  const { headers } = await limits.admit(key, { estimatedUnits: 3_000 });
  expect(headers).toEqual({
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "6000",
    "x-ratelimit-remaining-tokens": "3000",
    "x-ratelimit-reset-tokens": "30s",
    "ratelimit-policy": '"requests";q=60;w=60, "tokens";q=6000;w=60',
    ratelimit: '"requests";r=59;t=1, "tokens";r=3000;t=30',
  });
  await expect(limits.admit(key, { estimatedUnits: 3_001 })).rejects.toMatchObject({
    headers: { ratelimit: '"requests";r=59;t=1, "tokens";r=3000;t=30' },
  });
});

test("durations are spelled as OpenAI spells them", () => {
  const spelled = [0, 12, 999, 1_000, 1_500, 59_999, 60_000, 360_000, 3_661_000].map(durationText);
  expect(spelled).toEqual(["0ms", "12ms", "999ms", "1s", "1.5s", "59.999s", "1m0s", "6m0s", "61m1s"]);
});

test("keys at rest are forgotten, and one with a limit used up is not", async () => {
  const { limits } = open();
  const spent = keyWith("spent", { requestsPerMinute: 1 });
  (await limits.admit(spent, { estimatedUnits: 0 })).release(0);
  for (let i = 0; i < 25_000; i++) (await limits.admit(keyWith(`k${i}`), { estimatedUnits: 0 })).release(0);
  await expect(limits.admit(spent, { estimatedUnits: 0 })).rejects.toEqual(refused(60_000));
});
