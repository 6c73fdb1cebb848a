import { hex, measurementOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { approveReference, REFERENCE_HELP } from "./reference-main.ts";

async function said(...args: string[]): Promise<string> {
  let text = "";
  await approveReference(args, (more) => {
    text += more;
  });
  return text;
}
const [zero, one] = ["00".repeat(48), "11".repeat(48)];

test("a dry run prints the measurement that an appraisal of these registers has, in whatever order they come", async () => {
  const registers = new Map([
    [0, new Uint8Array(48)],
    [1, new Uint8Array(48).fill(0x11)],
  ]);
  const line = `${hex(measurementOf(registers))}\n`;
  const given = ["--register", `1=${one}`, "--register", `0=${zero}`, "--dry-run"];
  expect(await said("approve", "nitro", "v1", ...given)).toBe(line);
  expect(await said("--help")).toBe(REFERENCE_HELP);
});

test.each([
  ["nothing", []],
  ["another action", ["revoke", "nitro", "v1", "--register", `0=${zero}`]],
  ["no release", ["approve", "nitro", "--register", `0=${zero}`]],
  ["no register", ["approve", "nitro", "v1"]],
  ["a register twice", ["approve", "nitro", "v1", "--register", `0=${zero}`, "--register", `0=${one}`]],
  ["a register that is not hex", ["approve", "nitro", "v1", "--register", "0=xyz"]],
  ["an option that there is not", ["approve", "nitro", "v1", "--pcr0", zero]],
  ["a network that is no URL", ["approve", "nitro", "v1", "--register", `0=${zero}`, "--network", "here"]],
])("%s is refused in a sentence: %#", async (_, args) => {
  await expect(said(...args, "--dry-run")).rejects.toMatchObject({ name: "OperatorError" });
});
