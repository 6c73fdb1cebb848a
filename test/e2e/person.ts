/** A person with a folder of their own, a network that runs in `.tallystick` there, and `tally` to use it with. */
import { join } from "node:path";
import { expect } from "vitest";
import { temporaryFolder } from "../folder.ts";
import { copyModels } from "../network.ts";
import { type Ran, runTally, startTallyd, type Tallyd } from "./processes.ts";

/** A small model: what most of a person's calls here are to. */
export const SMALL_MODEL = "statlog/credit-default";

export type Person = AsyncDisposable & {
  folder: string;
  daemon: Tallyd;
  /** Runs `tally` in the folder. No program that reads its output finds an escape code in it. */
  tally(args: readonly string[], env?: NodeJS.ProcessEnv, stdin?: string): Promise<Ran>;
  /** Runs `tally … --json`, which prints one line and ends with status 0, and reads that. */
  tallyJson(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Json>;
  /** A new receipt, by a call to the small model. */
  receipt(...options: string[]): Promise<{ receiptId: string; receiptFile: string }>;
  decisionsReliedOn(): Promise<number>;
  /** The environment of somebody else: another home. */
  stranger(name: string): { TALLYSTICK_HOME: string };
};

// biome-ignore lint/suspicious/noExplicitAny: what a program prints, looked into field by field.
type Json = any;

/** Starts the network with two small models, or with all that come with Tallystick. */
export async function startPerson(models: "small" | "all" = "small"): Promise<Person> {
  const place = await temporaryFolder();
  const folder = place.path;
  const small = () => copyModels(["credit-default", "breast-cancer"], join(folder, "models"));
  const daemon = await startTallyd(join(folder, ".tallystick"), models === "all" ? [] : ["--models", await small()]);
  const noEscapes = expect.not.stringContaining("\x1b");

  async function tally(args: readonly string[], env: NodeJS.ProcessEnv = {}, stdin = ""): Promise<Ran> {
    const ran = await runTally(args, folder, env, stdin);
    expect(ran).toMatchObject({ stdout: noEscapes, stderr: noEscapes });
    return ran;
  }

  async function tallyJson(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Json> {
    const ran = await tally([...args, "--json"], env);
    expect(ran).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[^\n]+\n$/) });
    return JSON.parse(ran.stdout);
  }

  return {
    folder,
    daemon,
    tally,
    tallyJson,
    receipt: (...options) => tallyJson(["infer", SMALL_MODEL, "--example", ...options]),
    decisionsReliedOn: async () => (await tallyJson(["usage"])).totals.decisionsReliedOn,
    stranger: (name) => ({ TALLYSTICK_HOME: join(folder, name) }),
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}
