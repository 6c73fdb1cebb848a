import { expect, test } from "vitest";
import { KEY_NAMES } from "./keys.ts";
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

test("on a terminal it logs text, unless JSON is asked for", () => {
  expect(parseOptions([], "models", "text")).toMatchObject({ log: { format: "text" } });
  expect(parseOptions(["--log-format", "json"], "models", "text")).toMatchObject({ log: { format: "json" } });
  expect(parseOptions([], "models")).toMatchObject({ log: { format: "json" } });
});

test("each option is taken, and the help names each", () => {
  const args = [
    ..."--data d --port 0 --host 192.0.2.1 --models m --workers 3 --json --keys k --key node=n.pem --key admin=a=b".split(
      " ",
    ),
    ..."--tls-cert c.pem --tls-key t.pem --url https://tallystick.example:8443/".split(" "),
    ..."--policy p.policy --checkpoint-interval 500 --rotate-log-key --new-witnesses --node-token t".split(" "),
    ..."--verify 0 --verifier-token v --openings-mib 5 --content-days 7 --open-query --log-level debug --log-format text".split(
      " ",
    ),
  ];
  expect(parseOptions(args, "models")).toEqual({
    data: "d",
    port: 0,
    host: "192.0.2.1",
    models: "m",
    workerCount: 3,
    json: true,
    keys: { folder: "k", files: { node: "n.pem", admin: "a=b" } },
    tls: { certPath: "c.pem", keyPath: "t.pem" },
    url: "https://tallystick.example:8443",
    policyPath: "p.policy",
    publishIntervalMs: 500,
    rotateLogKey: true,
    newWitnesses: true,
    nodeTokenPath: "t",
    behindTlsProxy: false,
    contentDays: 7,
    openQuery: true,
    verifyShare: 0,
    verifierTokenPath: "v",
    openingBytes: 5 * 1024 * 1024,
    log: { level: "debug", format: "text" },
  });
  for (const name of [...args, "--behind-tls-proxy"].filter((arg) => arg.startsWith("--")))
    expect(HELP).toContain(`  ${name}`);
  for (const name of KEY_NAMES) expect(HELP).toContain(name);
  for (const args of [["--help"], ["-h"], ["--help", "--port", "1"]]) expect(parseOptions(args, "")).toBe("help");
});

test("behind a proxy it listens on this machine and tells the proxy's URL", () => {
  const args = ["--behind-tls-proxy", "--keys", "k", "--url", "https://tallystick.example"];
  expect(parseOptions(args, "")).toMatchObject({ host: "127.0.0.1", url: "https://tallystick.example" });
});

test.each([
  ["--port", "65536"],
  ["--port", "-1"],
  ["--port", "1.5"],
  ["--port", ""],
  ["--workers", "-1"],
  ["--workers", "65"],
])("%s %s is refused, with the range it may have", (name, value) => {
  expect(() => parseOptions([`${name}=${value}`], "")).toThrow(
    new RegExp(`^${name} takes a whole number from \\d+ to \\d+`),
  );
});

test("a host that others reach is refused where nothing else is said", () => {
  expect(() => parseOptions(["--host", "0.0.0.0"], "")).toThrow(/^--host 0\.0\.0\.0 is no loopback address/);
});

test.each([
  ["--url", "tallystick.example"],
  ["--url", "ftp://tallystick.example"],
  ["--url", "http://tallystick.example/tally"],
  ["--url", "http://user@tallystick.example"],
  ["--url", "http://tallystick.example/?"],
  ["--key", "node"],
  ["--key", "node="],
  ["--key", "witness=w.pem"],
])("%s %s is refused, with what it takes", (name, value) => {
  expect(() => parseOptions([name, value], "")).toThrow(new RegExp(`^${name} takes `));
});

test.each([["--tls-cert"], ["--tls-key"]])("%s alone is refused", (name) => {
  expect(() => parseOptions([name, "f.pem"], "")).toThrow(/go together/);
});

test.each([["--prot", "1"], ["serve"], ["--data"]])(
  "%s is refused, and says where the options are listed",
  (...args) => {
    expect(() => parseOptions(args, "")).toThrow(/tallyd --help lists the options/);
  },
);

test.each([
  ["--log-level", "loud"],
  ["--log-format", "xml"],
])("%s %s is refused, with what it may be", (name, value) => {
  expect(() => parseOptions([`${name}=${value}`], "")).toThrow(new RegExp(`^${name} takes one of \\w+(, \\w+)*, not`));
});
