import { encodeNoteKey } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { fixedNoteSigner } from "../../../test/fixed-keys.ts";
import { NODE_HELP, parseNodeOptions } from "./node-options.ts";

const VKEY = encodeNoteKey(fixedNoteSigner("log.example/one").key);
const NEEDED = ["--gateway", "https://tallystick.example", "--token-file", "t", "--log-key", VKEY];

test("with what it needs it listens on this machine, under a key of its own", () => {
  expect(parseNodeOptions(NEEDED)).toMatchObject({
    ...{ gateway: "https://tallystick.example", tokenPath: "t", data: ".tallystick-node", port: 8789 },
    ...{ keyPath: ".tallystick-node/keys/node.pem", host: "127.0.0.1", priceFloorAtomic: 0n, url: undefined },
    trust: { origin: "log.example/one", policy: undefined },
  });
});

test("each option is taken, and the help names each", () => {
  const args =
    "--data d --key k.pem --name n-1 --upstreams u --workers 2 --price-floor 7 --model-mib 9 --cache-mib 10 --port 0 --host 192.0.2.1 --tls-cert c --tls-key k --url https://node.example --json";
  expect(parseNodeOptions([...NEEDED, ...args.split(" ")])).toMatchObject({
    ...{ data: "d", keyPath: "k.pem", name: "n-1", upstreamsPath: "u", workerCount: 2, priceFloorAtomic: 7n },
    ...{ modelSizeMostBytes: 9 * 2 ** 20, keptBytes: 10 * 2 ** 20, port: 0, host: "192.0.2.1", json: true },
    ...{ tls: { certPath: "c", keyPath: "k" }, url: "https://node.example" },
  });
  for (const name of [...NEEDED, ...args.split(" "), "--policy"].filter((arg) => arg.startsWith("--")))
    expect(NODE_HELP).toContain(`  ${name}`);
  expect(parseNodeOptions(["--help"])).toBe("help");
});

test.each([
  [["--gateway", "--token-file", "--log-key"], []],
  [["--token-file", "--log-key"], NEEDED.slice(0, 2)],
] as const)("without %j it says what a node needs", (_, given) => {
  expect(() => parseNodeOptions([...given])).toThrow(/^a node needs .*: give it with --/);
});

test.each([
  ["a gateway elsewhere in clear", ["--gateway", "http://192.0.2.1:8787"], /plain HTTP to another machine/],
  ["a host that others reach, in clear", ["--host", "0.0.0.0"], /calls come by TLS alone/],
  ["a URL elsewhere in clear", ["--url", "http://node.example"], /by https alone/],
  ["every address and no URL", ["--host", "::", "--tls-cert", "c", "--tls-key", "k"], /--url https/],
  ["a log's key that is none", ["--log-key", "log.example"], /log's key/],
  ["a price that is no number", ["--price-floor", "1.5"], /--price-floor takes/],
  ["a name in capitals", ["--name", "Node"], /--name takes/],
] as const)("%s is refused, with what to give instead", (_, args, says) => {
  expect(() => parseNodeOptions([...NEEDED, ...args])).toThrow(says);
});
