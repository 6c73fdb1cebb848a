import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemEdges } from "@tallystick/client";
import { encodeNoteKey, parseEntry } from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openHome } from "../../packages/client/src/cli/home.ts";
import { verify } from "../../packages/client/src/cli/verify.ts";
import { serveFiles } from "../client/file-server.ts";
import { flip } from "../client/log-files.ts";
import { fixedNoteSigner } from "../fixed-keys.ts";
import { entriesAt } from "../server/entries.ts";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";
import { runTally } from "./processes.ts";
import { documentedFields } from "./reference.ts";

const MODELS = join(import.meta.dirname, "..", "..", "models");

vi.setConfig({ testTimeout: 240_000 }); // Each command is a process, on a machine that may be busy.

let me: Person;

beforeAll(async () => {
  me = await startPerson();
});
afterAll(() => me[Symbol.asyncDispose]());

describe("verifying", () => {
  test("a receipt verifies by its id, its URL and its file, and says what is in it", async () => {
    const { receiptId, receiptFile } = await me.receipt();
    for (const what of [receiptId, `${me.daemon.ready.url}/v1/receipts/${receiptId}`, receiptFile]) {
      const verdict = await me.tallyJson(["verify", what]);
      expect(Object.keys(verdict)).toEqual(await documentedFields("verify"));
      expect(verdict).toMatchObject({
        outcome: "verified",
        receiptId,
        model: { name: SMALL_MODEL },
        custody: "account",
      });
      const { status, stdout } = await me.tally(["verify", what]);
      expect(status).toBe(0);
      expect(stdout).toMatch(
        /the log's key is trusted because .*\nverified, at the tier "(signed|reexecuted)"\. Not checked: witnesses, execution, attested, .*proved\n$/,
      );
    }
  });

  test("a receipt that the lot may not see says so of its tier, and a file by itself says what it takes to know more", async () => {
    const { receiptId, receiptFile } = await me.receipt("--open", "none");
    const detailOf = async (what: string) => {
      const { checks }: { checks: { name: string; detail: string }[] } = await me.tallyJson(["verify", what]);
      return checks.find(({ name }) => name === "reexecuted")?.detail;
    };
    expect(await detailOf(receiptId)).toContain("no lot can draw it: its requester opens it to no verifier");
    expect(await detailOf(receiptFile)).toContain("name it behind the receipt");
  });

  test("a receipt made by plain HTTP verifies by its id, unopened", async () => {
    const { url, apiKey } = me.daemon.ready;
    const { outputs: _, ...example } = JSON.parse(
      await readFile(join(MODELS, "credit-default", "example.json"), "utf8"),
    );
    const headers = { authorization: `Bearer ${apiKey}` };
    const answer = await fetch(`${url}/v2/models/${SMALL_MODEL}/infer`, {
      method: "POST",
      headers,
      body: JSON.stringify(example),
    });
    const verdict = await me.tallyJson(["verify", answer.headers.get("x-receipt-id") ?? ""]);
    expect(verdict).toMatchObject({ outcome: "verified", custody: "gateway" });
  });

  test("a receipt that the network does not have is not found", async () => {
    expect(await me.tally(["verify", "0".repeat(64)])).toEqual({
      status: 1,
      stdout: "",
      stderr: `tally: no receipt ${"0".repeat(64)}\n`,
    });
  });

  test("a file changed at any of a hundred places fails, and so does the copy that is kept", async () => {
    const { receiptFile, receiptId } = await me.receipt();
    const bytes = new Uint8Array(await readFile(receiptFile));
    const changedFile = join(me.folder, "changed.json");
    // A line by a key that nobody asks for may say anything (C2SP signed-note): a changed key id makes one of any line.
    const text = Buffer.from(bytes).toString("latin1");
    const lines = [...text.matchAll(/\u00e2\u0080\u0094 .*?\\n/g)].map(({ index, 0: line }) => [
      index,
      index + line.length,
    ]);
    const isInLine = (at: number) => lines.some(([start = 0, end = 0]) => start <= at && at < end);
    const places = Array.from(bytes, (_, at) => at).filter((at) => !isInLine(at));
    for (let i = 0; i < 100; i++) {
      await writeFile(changedFile, flip(places[Math.floor(((places.length - 1) * i) / 99)] ?? 0)(bytes.slice()));
      expect(await verifyHere(changedFile), `place ${i} of 99`).toBe(3);
    }
    await writeFile(receiptFile, flip(-200)(bytes.slice()));
    const { status, stdout, stderr } = await me.tally(["verify", receiptId]);
    expect(status).toBe(3);
    expect(stderr).toContain(receiptFile);
    expect(stdout).toContain("FAILED");
  });

  /** What the command does, without a process of its own: its exit status. */
  function verifyHere(what: string): Promise<number> {
    const env = { TALLYSTICK_HOME: join(me.folder, "home"), TALLYSTICK_NETWORK: join(me.folder, ".tallystick") };
    const terminal = { out: () => {}, err: () => {}, isTty: false };
    return verify({ what, json: false }, { terminal, home: openHome(env), edges: systemEdges, env });
  }

  test("another log's key, and another key under this log's name, fail", async () => {
    const { receiptFile } = await me.receipt();
    const { origin, logVkey } = me.daemon.ready;
    const keys = [fixedNoteSigner(origin, "a thief"), fixedNoteSigner("another.example")];
    for (const { key } of keys)
      expect(await me.tally(["verify", receiptFile, "--vkey", encodeNoteKey(key)])).toMatchObject({
        status: 3,
        stdout: expect.stringMatching(/FAILED +checkpoint .*FAILED: bad_checkpoint\. Do not rely/s),
      });
    expect(await me.tally(["verify", receiptFile, "--vkey", logVkey])).toMatchObject({ status: 0 });
  });

  test("without a key that is trusted, nothing fails and nothing is verified", async () => {
    const { receiptFile } = await me.receipt();
    const ran = await runTally(["verify", receiptFile], MODELS, me.stranger("nobody"));
    expect(ran).toMatchObject({ status: 4, stdout: expect.stringContaining("no trusted key of this log") });
    expect(ran.stdout).not.toContain("FAILED");
  });

  test("a network that gives another good receipt than the one asked for is not believed", async () => {
    const [one, other] = [await me.receipt(), await me.receipt()];
    const network = await (await fetch(`${me.daemon.ready.url}/v1/network`)).arrayBuffer();
    const files = new Map([
      ["v1/network", new Uint8Array(network)],
      [`v1/receipts/${one.receiptId}`, new Uint8Array(await readFile(other.receiptFile))],
    ]);
    await using server = await serveFiles(files);
    const args = ["verify", one.receiptId, "--network", server.url];
    expect(await runTally(args, MODELS, me.stranger("lied to"))).toMatchObject({
      status: 3,
      stderr: `tally: the network gave the receipt ${other.receiptId}, not ${one.receiptId}\n`,
    });
  });

  test("a network is known by the key it was first met with, and one with another is refused", async () => {
    const { url, origin, logVkey } = me.daemon.ready;
    const { receiptId } = await me.receipt();
    const home = me.stranger("met");
    const args = ["verify", receiptId, "--network", url];
    const verifyFrom = async () => runTally(args, MODELS, home);
    expect(await verifyFrom()).toMatchObject({ status: 0, stdout: expect.stringContaining("when it was first met\n") });
    expect(await verifyFrom()).toMatchObject({ status: 0, stdout: expect.stringContaining("was first met with\n") });
    const knownLogs = join(home.TALLYSTICK_HOME, "known-logs");
    expect(await readFile(knownLogs, "utf8")).toBe(`${logVkey}\n`);
    await writeFile(knownLogs, `${encodeNoteKey(fixedNoteSigner(origin, "a thief").key)}\n`);
    const refused = await verifyFrom();
    expect(refused).toMatchObject({ status: 3, stdout: "", stderr: expect.stringContaining("another key before") });
  });
});

describe("relying", () => {
  test("raises decisions relied on by one, and a second time by none", async () => {
    const { receiptId } = await me.receipt();
    const before = await me.decisionsReliedOn();
    const first = await me.tallyJson(["rely", receiptId]);
    expect(Object.keys(first)).toEqual(await documentedFields("rely"));
    expect(first).toMatchObject({ receiptId, alreadyLogged: false, decisionsReliedOn: before + 1 });
    const again = await me.tally(["rely", receiptId]);
    expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining(`before: entry ${first.index}\n`) });
    expect(await me.decisionsReliedOn()).toBe(before + 1);
  });

  test("on two receipts behind one decision counts once, by one relier and by two", async () => {
    const decision = "0123456789abcdef0123456789abcdef";
    const [one, other] = [await me.receipt("--decision", decision), await me.receipt("--decision", decision)];
    const before = await me.decisionsReliedOn();
    const first = await me.tallyJson(["rely", one.receiptId]);
    expect(first.decisionsReliedOn).toBe(before + 1);
    expect(await me.tallyJson(["rely", other.receiptId])).toEqual({
      ...first,
      receiptId: other.receiptId,
      alreadyLogged: true,
    });
    const env = me.stranger("another relier");
    expect(await me.tallyJson(["rely", other.receiptFile], env)).toMatchObject({
      alreadyLogged: false,
      decisionsReliedOn: before + 1,
    });
  });

  test("cannot be done with the key of anybody who runs the network", async () => {
    const { receiptId } = await me.receipt();
    const before = await me.decisionsReliedOn();
    for (const role of ["log", "gateway", "node", "publisher"]) {
      const key = join(me.daemon.ready.data, "keys", `${role}.pem`);
      expect(await me.tally(["rely", receiptId, "--key", key])).toMatchObject({
        status: 1,
        stderr: `tally: this key is the network's ${role} key: an operator cannot rely on what it sells, nor dispute or audit it\n`,
      });
    }
    expect(await me.decisionsReliedOn()).toBe(before);
  });

  test("signs nothing where the receipt does not hold", async () => {
    const { receiptFile } = await me.receipt();
    const bytes = new Uint8Array(await readFile(receiptFile));
    await writeFile(join(me.folder, "bad.json"), flip(300)(bytes));
    const reliances = async () =>
      (await entriesAt(me.daemon.ready.url)).filter((entry) => parseEntry(entry).kind === "reliance");
    const [before, statements] = [await me.tallyJson(["usage"]), await reliances()];
    expect(statements).not.toEqual([]);
    expect(await me.tally(["rely", "bad.json"])).toMatchObject({ status: 3, stdout: "" });
    expect(await me.tallyJson(["usage"])).toMatchObject({
      totals: { decisionsReliedOn: before.totals.decisionsReliedOn },
    });
    expect(await reliances()).toEqual(statements);
  });
});
