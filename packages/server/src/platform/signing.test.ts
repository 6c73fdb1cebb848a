import { hex, utf8, verifyEs256 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createSigner, generateKey } from "./keys.ts";
import { openSigning, type Signing, startSigningThread } from "./signing.ts";

const messages = (count: number) => Array.from({ length: count }, (_, i) => utf8(`message ${i} ${"x".repeat(i)}`));

/** Signs `count` messages at once by two keys, and says which signatures hold. */
async function signAll(signing: Signing, count: number): Promise<boolean[]> {
  const signers = [signing.signer(generateKey()), signing.signer(generateKey())];
  const jobs = messages(count).map((message, i) => ({ message, signer: signers[i % 2]! }));
  return Promise.all(
    jobs.map(async ({ message, signer }) => verifyEs256(signer.spki, message, await signer.sign(message))),
  );
}

const reported: string[] = [];
const report = (event: string) => void reported.push(event);

test.each([1, 2, 3, 50, 500])(
  "%i signatures asked for at once are each by their key, of their message",
  async (count) => {
    const signing = openSigning(report);
    expect(await signAll(signing, count)).toEqual(Array(count).fill(true));
    await signing.close();
    expect(reported).toEqual([]);
  },
);

test("signatures come in the order in which they were asked for, however many are asked for at once", async () => {
  const signing = openSigning(report);
  const signer = signing.signer(generateKey());
  const order: number[] = [];
  const asked: Promise<unknown>[] = [];
  const counts = [1, 40, 1, 2, 7, 1, 1, 3, 100, 2, 1, 60, 1];
  for (const count of counts) {
    for (let i = 0; i < count; i++) {
      const place = asked.length;
      asked.push(signer.sign(utf8(`${place}`)).then(() => order.push(place)));
    }
    await new Promise((turn) => setImmediate(turn));
  }
  await Promise.all(asked);
  expect(order).toEqual(asked.map((_, place) => place));
  await signing.close();
});

test("a signer has the public key of its private one", async () => {
  const signing = openSigning(report);
  const key = generateKey();
  expect(hex(signing.signer(key).spki)).toBe(hex(createSigner(key).spki));
  await signing.close();
});

test("what was asked for is signed also where the thread ends in between, and so is what is asked afterwards", async () => {
  const told: string[] = [];
  const thread = startSigningThread();
  const signing = openSigning((event) => void told.push(event), thread);
  const asked = Promise.all([signAll(signing, 100), signAll(signing, 100)]);
  await new Promise((turn) => setImmediate(turn));
  const more = signAll(signing, 100);
  await thread.terminate();
  expect((await asked).flat()).toEqual(Array(200).fill(true));
  expect(await more).toEqual(Array(100).fill(true));
  expect(told).toEqual(["the signing thread ended; signing goes on without it"]);
  expect(await signAll(signing, 10)).toEqual(Array(10).fill(true));
  await signing.close();
});

test("after the close it signs still, and nobody is told of a fault", async () => {
  const signing = openSigning(report);
  await signing.close();
  expect(await signAll(signing, 10)).toEqual(Array(10).fill(true));
  expect(reported).toEqual([]);
});
