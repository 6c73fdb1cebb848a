import { expect, test } from "vitest";
import { nameOf } from "./named-model.ts";

const offered = [
  { name: "statlog/credit-default", category: "risk" },
  { name: "paddle/text-detector", category: "vision" },
  { name: "paddle/text-recognizer", category: "vision" },
  { name: "plain", category: "language" },
];

async function named(called: string): Promise<[string, string]> {
  let said = "";
  const terminal = {
    err: (text: string) => {
      said += text;
    },
  };
  return [await nameOf({ models: async () => offered }, called, terminal), said];
}

test("words of its name and category are a model, which is said; its whole name needs no saying", async () => {
  const credit = ["statlog/credit-default", "credit-risk is statlog/credit-default\n"];
  expect(await named("credit-risk")).toEqual(credit);
  expect((await named("Detector"))[0]).toBe("paddle/text-detector");
  expect(await named("plain")).toEqual(["plain", ""]);
  expect(await named("someone/else")).toEqual(["someone/else", ""]);
});

test("words of several models are refused, and what fits none is left for the network to refuse", async () => {
  await expect(named("text")).rejects.toThrow(
    '"text" may be paddle/text-detector or paddle/text-recognizer: say which',
  );
  for (const none of ["cred", "credit-vision", "-"]) expect(await named(none)).toEqual([none, ""]);
});
