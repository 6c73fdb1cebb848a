/** `tallyd node`: opens a node, listens, comes in at its gateway, and ends once no call is left. */
import { readFile } from "node:fs/promises";
import { openEvidenceSource } from "./evidence-source.ts";
import { type Listening, listen } from "./listen.ts";
import { NODE_HELP, type NodeCommand, parseNodeOptions } from "./node-options.ts";
import { openNodeRole } from "./node-role.ts";
import { systemClock } from "./platform/clock.ts";
import type { Report } from "./platform/http.ts";
import { requirePrivate } from "./platform/private-files.ts";
import { createSystemRandom } from "./platform/random.ts";
import { readTls, tlsKeyOf } from "./platform/tls.ts";

/** Runs until `stopped` resolves. Throws where it cannot start, and where its log is not to be believed any more. */
export async function runNode(args: string[], stopped: Promise<void>): Promise<void> {
  const command = parseNodeOptions(args);
  if (command === "help") {
    process.stdout.write(NODE_HELP);
    return;
  }
  // Who reads what it prints may go away; the node goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  const report: Report = (event, detail) => void process.stderr.write(`${JSON.stringify({ event, ...detail })}\n`);
  await requirePrivate(command.tokenPath, "file", "give the token of the gateway's operator with --token-file");
  const token = (await readFile(command.tokenPath, "utf8")).trim();
  const tls = command.tls && (await readTls(command.tls, hostOf(command)));
  const random = createSystemRandom();
  const source = command.attest && (await openEvidenceSource(command.attest, { data: command.data, random, report }));
  const node = await openNodeRole({
    ...{ ...command, token, report },
    attestation: source && { source, ...(tls && { tlsKey: tlsKeyOf(tls.cert) }) },
    clock: systemClock,
    random,
    logIntervalMs: 1_000,
    deadlineMs: 30_000,
    generationDeadlineMs: 600_000,
  });
  let listening: Listening | undefined;
  try {
    const { host, port, url } = command;
    listening = await listen(node, { host, port, ...(tls && { tls }), ...(url === undefined ? {} : { url }) });
    await node.start(listening.url);
    process.stdout.write(readyText(command, node, listening.url));
    const broken = await Promise.race([stopped, node.broken]);
    await node.drain();
    if (broken !== undefined) throw broken;
  } finally {
    await listening?.close();
    await node.close();
  }
}

function hostOf({ url, host }: NodeCommand): string {
  return url === undefined ? host : new URL(url).hostname.replace(/^\[|\]$/g, "");
}

function readyText({ gateway, json }: NodeCommand, { id, name }: { id: string; name: string }, url: string): string {
  if (json) return `${JSON.stringify({ url, id, name, gateway })}\n`;
  return `The node ${name} is ready at ${url}

It runs models for ${gateway}. Its key: ${id}
`;
}
