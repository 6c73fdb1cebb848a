import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { INVOICE } from "../../models/paddle-ocr/lines.ts";
import { type Person, SMALL_MODEL, startPerson } from "./person.ts";
import { runTally } from "./processes.ts";
import { documentedFields } from "./reference.ts";

const MODELS = join(import.meta.dirname, "..", "..", "models");

let me: Person;

beforeAll(async () => {
  me = await startPerson("all");
});
afterAll(() => me[Symbol.asyncDispose]());

describe("asking", () => {
  test("models lists at least seven models of five categories, each idle until it is used", async () => {
    const rows: { name: string; category: string; state: string; valid: number }[] = await me.tallyJson(["models"]);
    expect(rows.length).toBeGreaterThanOrEqual(7);
    expect(new Set(rows.map(({ category }) => category))).toEqual(
      new Set(["vision", "audio", "text", "risk", "forecasting"]),
    );
    expect(rows.every(({ state, valid }) => state === "idle" && valid === 0)).toBe(true);
    const { stdout } = await me.tally(["models"]);
    expect(Object.keys(rows[0] ?? {}).sort()).toEqual((await documentedFields("models")).sort());
    for (const { name } of rows) expect(stdout).toContain(`${name} `);
  });

  test.each([
    "google/use-lite",
    "guardrail/prompt-injection",
    "noaa/seattle-temperature",
    "paddle/ocr",
    "paddle/text-detector",
    "paddle/text-recognizer",
    "silero/vad",
    "statlog/credit-default",
    "wisconsin/breast-cancer",
  ])("%s answers its own example, with a receipt that holds", async (model) => {
    const answer = await me.tallyJson(["infer", model, "--example"]);
    expect(answer).toMatchObject({ model: { name: model }, outcome: "verified" });
    expect(Object.keys(answer)).toEqual(await documentedFields("infer"));
    expect(answer.outputs.length).toBeGreaterThan(0);
    expect(answer.checks.find(({ name }: { name: string }) => name === "response opening").state).toBe("passed");
    expect(JSON.parse(await readFile(answer.receiptFile, "utf8"))).toMatchObject({ id: answer.receiptId });
  });

  test("the language model, which takes no tensors, is asked in words", async () => {
    const answer = await me.tally(["chat", "tallystick/state-of-the-union", "Our people", "--max-tokens", "4"]);
    expect(answer.status, answer.stderr).toBe(0);
  });

  test("--app names the app that a call is under in the log, and is a name", async () => {
    const answer = await me.tallyJson(["infer", SMALL_MODEL, "--example", "--app", "example/shop"]);
    const { grant } = JSON.parse(await readFile(answer.receiptFile, "utf8"));
    expect(Buffer.from(grant.entry, "base64").includes("example/shop")).toBe(true);
    const refused = await me.tally(["infer", SMALL_MODEL, "--example", "--app", "My Shop"]);
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringMatching(/--app takes a name in lower case/) });
  });

  test("no model is left out of these examples", async () => {
    const rows: { valid: number }[] = await me.tallyJson(["models"]);
    expect(rows.every(({ valid }) => valid > 0)).toBe(true);
  });

  test("reading an image prints the text in it", async () => {
    const { status, stdout } = await me.tally([
      "infer",
      "paddle/ocr",
      "--input",
      join(MODELS, "paddle-ocr", "example.png"),
    ]);
    expect(status).toBe(0);
    const unspaced = (text: string) => text.replaceAll(" ", "");
    const lines = stdout.split("\n").map(unspaced);
    expect(lines.slice(0, INVOICE.length)).toEqual(INVOICE.map(({ text }) => unspaced(text)));
    expect(stdout).toMatch(/\nreceipt {2}[0-9a-f]{64}\nkept in {2}\/.*\.json\n$/);
  });

  test("words of its name and category call a model, which without an input runs on its example", async () => {
    const { status, stdout, stderr } = await me.tally(["infer", "credit-risk", "--json"]);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ model: { name: "statlog/credit-default" }, outcome: "verified" });
    expect(stderr).toMatch(
      /^credit-risk is statlog\/credit-default\nno --input: statlog\/credit-default runs on its own example\n/,
    );
  });

  test("an input may be a file, what stands on the command line, or standard input", async () => {
    const model = "guardrail/prompt-injection";
    await writeFile(join(me.folder, "question.txt"), "What is the weather?\n");
    const outputs = await Promise.all([
      me.tallyJson(["infer", model, "--input", "question.txt"]),
      me.tallyJson(["infer", model, "--input", "What is the weather?"]),
      me
        .tally(["infer", model, "--json", "--input", "-"], {}, "What is the weather?\n")
        .then(({ stdout }) => JSON.parse(stdout)),
    ]);
    expect(outputs[1].outputs).toEqual(outputs[0].outputs);
    expect(outputs[2].outputs).toEqual(outputs[0].outputs);
  });

  test("a file that is not there is not taken for the image itself", async () => {
    expect(await me.tally(["infer", "paddle/ocr", "--input", "no.png"])).toEqual({
      status: 2,
      stdout: "",
      stderr: "tally: no file no.png: paddle/ocr takes a file with an image\n",
    });
  });

  test("the API key and the network may come from the environment", async () => {
    const { url, apiKey } = me.daemon.ready;
    const env = { TALLYSTICK_NETWORK: url, ...me.stranger("elsewhere") };
    const ran = await runTally(["infer", SMALL_MODEL, "--example"], MODELS, env);
    expect(ran).toMatchObject({ status: 2, stderr: expect.stringContaining("TALLYSTICK_API_KEY") });
    expect(
      await runTally(["infer", SMALL_MODEL, "--example"], MODELS, { ...env, TALLYSTICK_API_KEY: apiKey }),
    ).toMatchObject({
      status: 0,
    });
  });
});
