import { createNoteKey, encodeNoteKey } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../test/fixed-keys.ts";
import { parseWitnessOptions, WITNESS_HELP } from "./witness-options.ts";

const { key } = fixedNoteSigner("log.example");
const { key: successor } = fixedNoteSigner("log.example", "the next key");
const { key: other } = fixedNoteSigner("other.example");
const cosigner = createNoteKey(key.name, "cosignature", key.publicKey);
const [vkey, nextVkey, otherVkey] = [key, successor, other].map(encodeNoteKey);
const parse = (...args: (string | undefined)[]) => parseWitnessOptions(args.map((arg) => arg ?? ""));

test("a log's key is all that it needs: the rest follows", () => {
  expect(parse("--log", vkey)).toEqual({
    data: ".tallystick-witness",
    keyPath: ".tallystick-witness/keys/witness.pem",
    isKeyUnused: false,
    name: undefined,
    logs: [{ origin: "log.example", keys: [key] }],
    host: "127.0.0.1",
    port: 8788,
    json: false,
  });
});

test("each option is taken, and the help names each", () => {
  const args = "--data d --key k.pem --unused-key --name w.example/1 --host ::1 --port 0 --json".split(" ");
  expect(parse("--log", vkey, ...args)).toMatchObject({
    data: "d",
    keyPath: "k.pem",
    isKeyUnused: true,
    name: "w.example/1",
    host: "::1",
    port: 0,
    json: true,
  });
  for (const name of ["--log", ...args.filter((arg) => arg.startsWith("--"))])
    expect(WITNESS_HELP).toContain(`  ${name}`);
  expect(parse("--help")).toBe("help");
});

test("keys of one name are one log's, whose key rotates; others are logs of their own", () => {
  expect(parse("--log", vkey, "--log", otherVkey, "--log", nextVkey)).toMatchObject({
    logs: [
      { origin: "log.example", keys: [key, successor] },
      { origin: "other.example", keys: [other] },
    ],
  });
});

test.each([
  [[], /needs a log: give its key with --log/],
  [["--log", "log.example"], /--log "log.example" is not a vkey/],
  [["--log", encodeNoteKey({ ...key, type: "cosignature" })], /hash is not that of its name and key/],
  [["--log", encodeNoteKey(cosigner)], /is not the Ed25519 key of a log, type 1/],
  [["--log", vkey, "--host", "0.0.0.0"], /is not a loopback address/],
  [["--log", vkey, "--port", "65536"], /--port takes a whole number from 0 to 65535/],
  [["--log", vkey, "--models", "m"], /tallyd witness --help lists the options/],
  [["--log", vkey, "log.example"], /tallyd witness --help lists the options/],
] as const)("%j is refused in a sentence", (args, words) => {
  expect(() => parse(...args)).toThrow(words);
});
