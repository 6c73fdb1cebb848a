import { utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { UnverifiedError } from "../../errors.ts";
import { diskFault } from "./files.ts";
import { digestOf, encodeManifest, type Manifest, parseManifest } from "./manifest.ts";

const MANIFEST: Manifest = {
  origin: "log.example/tallystick",
  takenAtSeconds: 1_795_348_800,
  log: { size: 3, root: new Uint8Array(32).fill(7) },
  hasKeys: false,
  files: new Map([
    ["gateway.sqlite", digestOf(utf8("a database"))],
    ["log/tiles/checkpoint", digestOf(utf8("a checkpoint"))],
  ]),
};
const text = new TextDecoder().decode(encodeManifest(MANIFEST));
const parse = (json: string) => parseManifest(utf8(json), "backup.json");

test("a manifest is the same after it was written and read", () => {
  expect(parse(text)).toEqual(MANIFEST);
});

test.each([
  ["no JSON", text.slice(0, -10)],
  ["another format", text.replace("backup@v1", "backup@v2")],
  ["a size below zero", text.replace('"size": 3', '"size": -3')],
  ["a root that is none", text.replace("BwcH", "")],
  ["a digest that is none", text.replace(/"sha256": "[0-9a-f]/, '"sha256": "x')],
  ["no origin", text.replace('"origin"', '"x"')],
  ["a path out of the folder", text.replace("log/tiles/checkpoint", "log/../../checkpoint")],
  ["a path from the root", text.replace("gateway.sqlite", "/gateway.sqlite")],
  ["a path of another system", text.replace("gateway.sqlite", "..\\\\gateway.sqlite")],
])("a manifest with %s is refused", (_, changed) => {
  expect(changed).not.toBe(text);
  expect(() => parse(changed)).toThrow(UnverifiedError);
});

test.each([
  ["ENOSPC", /^the disk is full: free some space$/],
  ["EDQUOT", /^the disk is full: free some space$/],
  ["EACCES", /^may not use \/mnt\/x \(EACCES\): free some space$/],
  ["EROFS", /^may not use \/mnt\/x \(EROFS\): free some space$/],
  ["ENOTDIR", /^\/mnt\/x is a file where a folder is due: free some space$/],
])("a fault of the disk, %s, is told in one sentence", (code, sentence) => {
  const error = Object.assign(new Error(code), { code, path: "/mnt/x" });
  expect(diskFault(error, "free some space")).toMatchObject({ message: expect.stringMatching(sentence), cause: error });
});
