/** `tally keys`, as the operator of the network on this machine uses it, and as whoever was given a key that manages keys. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";

let me: Person;

beforeAll(async () => {
  me = await startPerson();
});
afterAll(() => me[Symbol.asyncDispose]());

test("an operator makes a key that serves as it says, sees it listed without its secret, and ends it", async () => {
  const made = await me.tally([
    "keys",
    "create",
    "ci",
    "--scopes",
    "infer,sessions",
    "--requests",
    "60",
    "--days",
    "90",
  ]);
  expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/^tally-\S{32}\n$/) });
  const secret = made.stdout.trim();
  const id = /key_[0-9a-f]{24}/.exec(made.stderr)?.[0] ?? "";
  const use = () => me.tally(["infer", SMALL_MODEL, "--example", "--api-key", secret]);
  expect((await use()).status).toBe(0);

  const listed = await me.tally(["keys", "list"]);
  expect(listed.stdout).toMatch(new RegExp(`^${id} +ci +infer,sessions +\\d{4}-\\d\\d-\\d\\d +usable$`, "m"));
  const keys = await me.tallyJson(["keys", "list"]);
  expect(keys.map(({ name }: { name: string }) => name).sort()).toEqual(["ci", "first"]);
  expect(JSON.stringify(keys) + listed.stdout).not.toContain(secret);

  expect(await me.tally(["keys", "revoke", id])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/is revoked/),
  });
  expect(await use()).toMatchObject({ status: 1, stderr: expect.stringMatching(/unknown, revoked or expired/) });
  expect((await me.tally(["keys", "list"])).stdout).toMatch(new RegExp(`^${id} .* revoked$`, "m"));
}, 240_000);

test("a key with the scope keys makes others of its account, and another key does not", async () => {
  const manager = (await me.tallyJson(["keys", "create", "manager", "--scopes", "keys"])).apiKey;
  const {
    apiKey,
    terms: _,
    ...other
  } = await me.tallyJson(["keys", "create", "app", "--calls", "2"], {
    TALLYSTICK_API_KEY: manager,
  });
  expect(other).toMatchObject({ name: "app", concurrentCalls: 2, scopes: ["infer", "read", "sessions"] });
  expect(apiKey).toMatch(/^tally-/);
  const refused = await me.tally(["keys", "list", "--api-key", apiKey]);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/has no scope "keys"/) });
}, 240_000);

test("an app's key accepts no less than its policy says, whatever the call says, and the refusal names what is not met", async () => {
  const accept = ["--accept", '{"provenance":"executed","models":{"wisconsin/breast-cancer":{"publishers":[]}}}'];
  const { apiKey, policy } = await me.tallyJson(["keys", "create", "app", ...accept]);
  expect(policy).toMatchObject({ provenance: "executed" });
  const ask = (model: string) =>
    me.tally(["infer", model, "--example", "--api-key", apiKey, "--accept", '{"tier":"signed"}']);
  const met = await ask(SMALL_MODEL);
  expect(met).toMatchObject({ status: 0, stderr: expect.stringContaining("policy: tier: passed, signed") });
  const unmet = await ask("wisconsin/breast-cancer");
  expect(unmet).toMatchObject({ status: 1, stderr: expect.stringContaining("policy: publisher: ") });
}, 240_000);

const WRONG: [string, number, string[], RegExp][] = [
  ["no name", 2, ["create"], /keys create needs a name/],
  ["a number that is none", 2, ["create", "x", "--requests", "many"], /--requests is a number from 1/],
  ["a scope that is none", 1, ["create", "x", "--scopes", "all"], /cannot be a term/],
  ["a key that there is not", 1, ["revoke", "key_0"], /has no API key key_0/],
  ["a network elsewhere, and no key", 2, ["list", "--network", "URL"], /who asks\? Give --api-key/],
  ["a folder without the token", 2, ["list", "--keys", "nowhere"], /there is no nowhere.admin-token/],
];

test.each(WRONG)("%s ends with status %i and says what to do", async (_, status, args, says) => {
  const ran = await me.tally(["keys", ...args.map((arg) => (arg === "URL" ? me.daemon.ready.url : arg))]);
  expect(ran).toMatchObject({ status, stdout: "", stderr: expect.stringMatching(says) });
});
