/** What an auditor says in the log of a running network, and whose word it is. */
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { openKey } from "@tallystick/client";
import { encodeJson, encodeNoteKey, hex, keyId, rulesDigest, sha256, WASH_RULES } from "@tallystick/protocol";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Ran, runTally } from "../e2e/processes.ts";
import { fixedNoteSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { createTestClock, creditInput, startNetwork, type TestNetwork } from "../network.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 }); // Each command is a process, on a machine that may be busy.

const DAY_MS = 86_400_000;
const CLOSED = "2026-11-22";
const clock = createTestClock(Date.parse(`${CLOSED}T12:00:00Z`));
let place: Awaited<ReturnType<typeof temporaryFolder>>;
let network: TestNetwork;

beforeAll(async () => {
  place = await temporaryFolder();
  network = await startNetwork({ clock });
  await network.infer("statlog/credit-default", [creditInput()]);
  await network.closeEpoch();
  clock.advance(3 * DAY_MS);
  await network.infer("statlog/credit-default", [creditInput(7)]);
  await network.closeEpoch(); // And the first day is closed.
  await network.idle();
});
afterAll(async () => {
  await network[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const audit = (...args: string[]): Promise<Ran> =>
  runTally(["audit", "--network", network.url, "--vkey", network.logVkey, ...args], place.path);

const said = async () => (await network.fetch("/v1/recomputations")).json();

async function auditorOf(path: string): Promise<string> {
  const pem = await readFile(path, "utf8");
  return hex(keyId((await openKey(Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64"))).spki));
}

/** The network behind a server that changes the JSON of what lies under `prefix`, or else is too busy to show it. */
async function serveChanged<T>(prefix: string, change?: (answer: T) => T): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(async (request, response) => {
    const { url = "", method = "GET" } = request;
    const isChanged = url.startsWith(prefix);
    if (isChanged && change === undefined) return response.writeHead(503).end();
    const body = method === "GET" ? undefined : new Uint8Array(await buffer(request));
    const answer = await network.fetch(url, { method, ...(body === undefined ? {} : { body }) });
    response.writeHead(answer.status);
    if (isChanged && change !== undefined) return response.end(JSON.stringify(change(await answer.json())));
    return response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("an audit that is published is an entry by the auditor's own key, of what it came to", async () => {
  const ran = await audit("--publish", "--json", "--day", CLOSED);
  expect(ran).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/published that your audit agrees, as entry \d+/),
  });
  const { figures, comparedSize, days, differences, document, served } = JSON.parse(ran.stdout);
  expect({ days, differences, day: document.day }).toMatchObject({
    days: [{ agrees: true }],
    differences: [],
    day: CLOSED,
  });
  expect(days[0].snapshot).not.toBeNull();
  expect(served).toMatchObject({ days: [CLOSED], notCompared: expect.arrayContaining(["pages and badges"]) });
  expect(served.metrics).toHaveLength(8);
  await network.idle();
  expect(await said()).toMatchObject({
    recomputations: [
      {
        ...{ size: comparedSize, agrees: true, rules_digest: hex(rulesDigest(WASH_RULES)) },
        ...{
          auditor: await auditorOf(join(place.path, "home", "auditor.pem")),
          result_digest: hex(sha256(encodeJson(figures))),
        },
      },
    ],
    agreed: 1,
    disagreed: 0,
  });
});

test("an audit of figures that differ says so in the log too", async () => {
  const usage = join(place.path, "usage.json");
  const published = await (await network.fetch("/v1/usage")).json();
  await writeFile(usage, JSON.stringify({ ...published, totals: { ...published.totals, valid: 9 } }));
  const ran = await audit("--publish", "--usage", usage);
  expect(ran).toMatchObject({ status: 3, stderr: expect.stringContaining("your audit does not agree") });
  await network.idle();
  expect(await said()).toMatchObject({ agreed: 0, disagreed: 1 });
});

test("a day that the network serves as something else than it came to is told field by field", async () => {
  const change = (answer: { document: { groups: { rows: Record<string, object> }[] } }) => {
    const [group] = answer.document.groups;
    if (group !== undefined) group.rows = Object.fromEntries(Object.keys(group.rows).map((key) => [key, {}]));
    return answer;
  };
  await using front = await serveChanged("/v1/usage/days/", change);
  const ran = await runTally(["audit", "--network", front.url, "--vkey", network.logVkey, "--day", CLOSED], place.path);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toContain("failed      0\n");
  expect(ran.stdout).toMatch(new RegExp(`  ${CLOSED} groups\\.0\\.rows\\..*: published undefined, recomputed`));
});

test("a network whose log is right and that shows another document of a closed day is found out unasked", async () => {
  await using front = await serveChanged("/v1/usage/days/", (answer: { digest: string }) => ({
    ...answer,
    digest: answer.digest.replaceAll(/[0-9]/g, "0"),
  }));
  const ran = await runTally(["audit", "--network", front.url, "--vkey", network.logVkey], place.path);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toContain("failed      0\n");
  expect(ran.stdout).toMatch(new RegExp(`  ${CLOSED} digest: published "[0a-f]{64}", recomputed "[0-9a-f]{64}"`));
});

test("a network that shows a row of a metric as something else than its documents say is found out", async () => {
  const change = (answer: { rows?: { organic?: unknown }[] }) => {
    for (const row of answer.rows ?? []) row.organic = 9;
    return answer;
  };
  await using front = await serveChanged("/v1/usage/inferences", change);
  const ran = await runTally(["audit", "--network", front.url, "--vkey", network.logVkey], place.path);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toContain("difference  2\n");
  for (const by of ["network", "model"])
    expect(ran.stdout).toContain(`  inferences by ${by} 0.organic: published 9, recomputed 0\n`);
  expect(ran.stdout).toContain(`served      documents of 1 closed day, ${CLOSED} to ${CLOSED}; of them inferences by`);
  expect(ran.stdout).toContain("not seen    documents of days that are not closed; all other rows of metrics");
});

test("what a network would not show is a difference, and everything that was found is told all the same", async () => {
  for (const prefix of ["/v1/usage/days/", "/v1/usage/payers"]) {
    await using front = await serveChanged(prefix, undefined);
    const ran = await runTally(["audit", "--network", front.url, "--vkey", network.logVkey, "--publish"], place.path);
    expect(ran).toMatchObject({
      status: 3,
      stdout: expect.stringContaining("would not show it"),
      stderr: expect.stringContaining("does not agree"),
    });
    expect(ran.stdout).toMatch(/\nverdict {5}DOES NOT HOLD: what is published is not what the log comes to\n$/);
  }
});

test("a policy of several logs gives the key of the one that is audited, and one of other logs alone refuses it", async () => {
  const policyOf = async (...lines: string[]) => {
    const path = join(place.path, `${lines.length}-${lines[0]?.length}.policy`);
    await writeFile(path, `${[...lines, "quorum none"].join("\n")}\n`);
    return runTally(["audit", "--network", network.url, "--policy", path], place.path, {
      TALLYSTICK_HOME: join(place.path, "h"),
    });
  };
  const other = `log ${encodeNoteKey(fixedNoteSigner("another.example").key)}`;
  const own = `log ${network.logVkey}`;
  const wrong = `log ${encodeNoteKey(fixedNoteSigner(network.origin).key)}`;
  expect(await policyOf(other, own)).toMatchObject({
    status: 0,
    stderr: "",
    stdout: expect.stringContaining("--policy gives it"),
  });
  expect(await policyOf(other, wrong)).toMatchObject({
    status: 3,
    stdout: expect.stringContaining("FAILED  checkpoint"),
  });
  for (const others of [[other], [other, `log ${encodeNoteKey(fixedNoteSigner("a-third.example").key)}`]])
    expect(await policyOf(...others)).toMatchObject({
      status: 3,
      stderr: expect.stringContaining(`not about the log ${network.origin}`),
    });
  expect(await policyOf()).toMatchObject({ status: 0, stderr: expect.stringContaining("met for the first time") });
});

test("a copy of a log has nobody to publish an audit to", async () => {
  const ran = await runTally(
    ["audit", join(network.data, "log", "tiles"), "--vkey", network.logVkey, "--publish"],
    place.path,
  );
  expect(ran).toMatchObject({ status: 2, stderr: expect.stringContaining("a copy of a log") });
});

test("a network that is met for the first time is not believed in silence", async () => {
  await using elsewhere = await temporaryFolder();
  const met = () => runTally(["audit", "--network", network.url], elsewhere.path);
  expect(await met()).toMatchObject({ status: 0, stderr: expect.stringContaining("met for the first time") });
  expect(await met()).toMatchObject({ status: 0, stderr: "" });
});

test("an auditor has the name that the key enrols under, for good, and a name that is none is refused before anything is read", async () => {
  await using elsewhere = await temporaryFolder();
  const publish = (...args: string[]) =>
    runTally(["audit", "--network", network.url, "--vkey", network.logVkey, ...args], elsewhere.path);
  for (const args of [
    ["--publish", "--name", "Alice & Bob"],
    ["--publish", "--name", `a${"b".repeat(128)}`],
  ])
    expect(await publish(...args)).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringContaining("--name takes a name in lower case"),
    });
  const alone = await publish("--name", "example/alice");
  expect(alone).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("--publish --name") });
  const first = await publish("--publish", "--name", "example/alice");
  expect(first).toMatchObject({ status: 0, stderr: expect.stringContaining("published that your audit agrees") });
  expect(first.stderr).not.toContain("keeps");
  await network.idle();
  const named = { auditor: await auditorOf(join(elsewhere.path, "home", "auditor.pem")), name: "example/alice" };
  expect((await said()).recomputations).toContainEqual(expect.objectContaining(named));
  const second = await publish("--publish", "--name", "example/bob");
  expect(second).toMatchObject({ status: 0, stderr: expect.stringContaining("keeps the name that it has") });
  await network.idle();
  expect((await said()).recomputations).toContainEqual(expect.objectContaining(named));
});
