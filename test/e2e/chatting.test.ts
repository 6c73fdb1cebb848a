import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseReceiptFile } from "@tallystick/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { copyModels } from "../network.ts";
import { type Ran, runTally, startTallyd, type Tallyd } from "./processes.ts";
import { documentedFields } from "./reference.ts";

const MODEL = "tallystick/state-of-the-union";

let place: Awaited<ReturnType<typeof temporaryFolder>>;
let daemon: Tallyd;

beforeAll(async () => {
  place = await temporaryFolder();
  const models = await copyModels(["state-of-the-union", "use-lite"], join(place.path, "models"));
  daemon = await startTallyd(join(place.path, ".tallystick"), ["--models", models]);
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const tally = (args: readonly string[], stdin = ""): Promise<Ran> => runTally(args, place.path, {}, stdin);

describe("tally chat", () => {
  test("prints the answer on standard output, and its receipt and every check on standard error", async () => {
    const { status, stdout, stderr } = await tally(["chat", MODEL, "Fellow citizens", "--max-tokens", "24"]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout.trim().length).toBeGreaterThan(10);
    const [, receiptId = "", file = ""] = /receipt {2}([0-9a-f]{64})\nkept in {2}(.+)\n/.exec(stderr) ?? [];
    expect(stderr).toMatch(/passed +response opening/);
    expect(stderr).toMatch(/verified, at the tier "signed"/);
    const { opening } = parseReceiptFile(new Uint8Array(await readFile(file)));
    // As JSON spells it: what the model writes may have quotation marks in it.
    expect(new TextDecoder().decode(opening?.response?.bytes)).toContain(
      JSON.stringify(stdout.trim().slice(0, 10)).slice(1, -1),
    );
    expect((await tally(["verify", receiptId])).status).toBe(0);
  });

  test("says the same to programs, with the fields that the reference names", async () => {
    const { status, stdout } = await tally(["chat", MODEL, "-", "--max-tokens", "8", "--hold", "--json"], "Our nation");
    expect(status).toBe(0);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ model: MODEL, outcome: "verified" });
    expect(Object.keys(answer)).toEqual(await documentedFields("chat"));
  });

  test("ends with status 1 where the network refuses, and 2 where it is used wrongly", async () => {
    const refused = await tally(["chat", "no/such", "Hello"]);
    expect(refused).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("no/such") });
    for (const args of [
      ["chat", MODEL],
      ["chat", MODEL, "Hello", "--max-tokens", "many"],
    ])
      expect((await tally(args)).status).toBe(2);
  });
});

describe("tally embed", () => {
  test("prints a vector, and its receipt on standard error", async () => {
    const { status, stdout, stderr } = await tally(["embed", "google/use-lite", "a text"]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(JSON.parse(stdout)).toHaveLength(512);
    expect(stderr).toMatch(/verified, at the tier "signed"/);
    const { stdout: line } = await tally(["embed", "google/use-lite", "a text", "--json"]);
    const answer = JSON.parse(line);
    expect(answer.embedding).toEqual(JSON.parse(stdout));
    expect(Object.keys(answer)).toEqual(await documentedFields("embed"));
  });
});
