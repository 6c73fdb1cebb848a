import { expect, test } from "vitest";
import { HELP, parseOptions } from "./options.ts";

test("without a word it serves this machine, from a folder here, on its port", () => {
  expect(parseOptions([], "models")).toMatchObject({
    data: ".tallystick",
    host: "127.0.0.1",
    port: 8787,
    models: "models",
    json: false,
  });
});

test("each option is taken, and the help names each", () => {
  const args = "--data d --port 0 --host ::1 --models m --workers 3 --json".split(" ");
  expect(parseOptions(args, "models")).toEqual({
    data: "d",
    port: 0,
    host: "::1",
    models: "m",
    workerCount: 3,
    json: true,
  });
  for (const name of args.filter((arg) => arg.startsWith("--"))) expect(HELP).toContain(`  ${name}`);
  for (const args of [["--help"], ["-h"], ["--help", "--port", "1"]]) expect(parseOptions(args, "")).toBe("help");
});

test.each([
  ["--port", "65536"],
  ["--port", "-1"],
  ["--port", "1.5"],
  ["--port", ""],
  ["--workers", "0"],
  ["--workers", "65"],
])("%s %s is refused, with the range it may have", (name, value) => {
  expect(() => parseOptions([`${name}=${value}`], "")).toThrow(
    new RegExp(`^${name} takes a whole number from \\d+ to \\d+`),
  );
});

test.each(["0.0.0.0", "192.168.1.2", "::", "example.org", "127.0.0.1.example.org", "localhost.example.org"])(
  "the host %s is refused: there is no access control for others than this machine",
  (host) => {
    expect(() => parseOptions(["--host", host], "")).toThrow(/not a loopback address/);
  },
);

test.each([["--prot", "1"], ["serve"], ["--data"]])(
  "%s is refused, and says where the options are listed",
  (...args) => {
    expect(() => parseOptions(args, "")).toThrow(/tallyd --help lists the options/);
  },
);
