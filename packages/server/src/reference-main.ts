/** `tallyd reference`: has the publisher of a network approve what a release measures, or withdraw that. */
import { hex, measurementOf, parseHex, utf8 } from "@tallystick/protocol";
import { parseUrl, readArguments } from "./option-values.ts";
import { OperatorError } from "./platform/errors.ts";
import { openPeer, readAll } from "./platform/peer.ts";
import { readToken } from "./platform/private-files.ts";

export const REFERENCE_HELP = `tallyd reference: approves what a release measures, as the network's publisher

  tallyd reference approve TECHNOLOGY RELEASE --register N=HEX …
  tallyd reference withdraw TECHNOLOGY RELEASE --register N=HEX …

  TECHNOLOGY      nitro, tdx, snp or hopper
  RELEASE         its version, as v1.2.0+nitro
  --register N=HEX
                  a register and what it holds: each that
                  docs/spec/attestation.md lists
  --network URL   the network                             (http://127.0.0.1:8787)
  --token-file FILE
                  its operator's token                    (.tallystick/keys/admin-token)
  --dry-run       print the measurement, and log nothing
  --help
`;

type Command = {
  action: string;
  technology: string;
  release: string;
  measurement: Uint8Array;
  network: string;
  tokenPath: string;
  dryRun: boolean;
};

/** Runs the command. Throws an OperatorError where it cannot. */
export async function approveReference(args: string[], say: (text: string) => void): Promise<void> {
  const command = parseReference(args);
  if (command === "help") return say(REFERENCE_HELP);
  const { action, technology, release, network } = command;
  const measurement = hex(command.measurement);
  if (command.dryRun) return say(`${measurement}\n`);
  const token = await readToken(command.tokenPath, "give the token of the network's operator with --token-file");
  const peer = openPeer(network);
  try {
    const answer = await peer.post({
      path: "/v1/references",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: utf8(JSON.stringify({ action, technology, measurement, release })),
      timeoutMs: 10_000,
    });
    const text = new TextDecoder().decode(await readAll(answer, 65_536));
    if (answer.status !== 201) throw new OperatorError(`the network refused: ${text}`);
    say(`${text}\n`);
  } finally {
    await peer.close();
  }
}

function parseReference(args: string[]): Command | "help" {
  const { values, positionals } = readArguments("tallyd reference", {
    args,
    allowPositionals: true,
    options: {
      register: { type: "string", multiple: true },
      network: { type: "string", default: "http://127.0.0.1:8787" },
      "token-file": { type: "string", default: ".tallystick/keys/admin-token" },
      "dry-run": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const [action = "", technology = "", release = "", ...more] = positionals;
  if (!["approve", "withdraw"].includes(action) || release === "" || more.length > 0)
    throw new OperatorError("say what to do: tallyd reference approve TECHNOLOGY RELEASE --register N=HEX …");
  return {
    ...{ action, technology, release, measurement: measurementOf(registersOf(values.register ?? [])) },
    network: parseUrl("network", values.network),
    tokenPath: values["token-file"],
    dryRun: values["dry-run"],
  };
}

function registersOf(given: readonly string[]): Map<number, Uint8Array> {
  const registers = new Map<number, Uint8Array>();
  for (const text of given) {
    const [, number, digits = ""] = /^([0-9]{1,3})=([0-9a-f]+)$/.exec(text) ?? [];
    const value = parseHex(digits);
    if (number === undefined || value === undefined || registers.has(Number(number)))
      throw new OperatorError(`--register takes N=HEX, each number once, not ${JSON.stringify(text)}`);
    registers.set(Number(number), value);
  }
  if (registers.size === 0)
    throw new OperatorError("what does the release measure? Give each register with --register");
  return registers;
}
