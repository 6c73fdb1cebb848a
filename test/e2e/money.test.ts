/** Money, as whoever asks and whoever operates the network sees it through `tally`. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { standstill } from "../server/entries.ts";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";
import { documentedFields } from "./reference.ts";

let me: Person;
beforeAll(async () => {
  me = await startPerson();
});
afterAll(() => me[Symbol.asyncDispose]());

test("a quote, a top-up of one's own and a balance are told in atomic units and in credits", async () => {
  expect(await me.tally(["quote", SMALL_MODEL, "1"])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^a call +0$/m),
  });
  expect(Object.keys(await me.tallyJson(["quote", SMALL_MODEL]))).toEqual(await documentedFields("quote"));
  expect((await me.tally(["balance"])).stdout).toMatch(/^available +0$/m);
  const reference = "ab".repeat(16);
  const topUp = () => me.tally(["topup", "1250000", "--reference", reference]);
  expect(await topUp()).toMatchObject({ status: 0, stdout: "topped up: the account may spend 1.25 credits\n" });
  expect(await topUp()).toMatchObject({ status: 0, stdout: "topped up before: the account may spend 1.25 credits\n" });
  const { stdout } = await me.tally(["balance"]);
  expect(stdout).toMatch(/^available +1\.25$/m);
  expect(stdout).toMatch(/^subsidised +1\.25$/m);
  expect((await me.tally(["earnings"])).stdout).toMatch(/^WHO +ROLE +EARNED +PAID OUT +OWED$/m);
  expect((await me.tally(["usage"])).stdout).toMatch(/^revenue +0 credits net, of which 0 subsidised/m);
  expect(await me.tally(["topup", "1.5"])).toMatchObject({ status: 2 });
  expect(await me.tally(["topup", "5", "--source", "x402"])).toMatchObject({ status: 1 });
}, 240_000);

test("an audit against figures whose money was changed ends with status 3, and names what differs", async () => {
  await standstill(me.daemon.ready.url);
  const path = join(me.folder, "usage.json");
  await writeFile(path, (await me.tally(["usage", "--json"])).stdout);
  expect((await me.tally(["audit", "--usage", path])).status).toBe(0);
  const figures: { credits: Record<string, string> } = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...figures, credits: { ...figures.credits, subsidised: "0" } }));
  const { status, stdout } = await me.tally(["audit", "--usage", path]);
  expect(status).toBe(3);
  expect(stdout).toMatch(/^ {2}credits\.subsidised: published "0", recomputed "1250000"$/m);
}, 240_000);
