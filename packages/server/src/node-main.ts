/** `tallyd node`: opens a node, listens, comes in at its gateway, and ends once no call is left. */
import { openEvidenceSource } from "./evidence-source.ts";
import { servedName } from "./exposure.ts";
import { type Listening, listen } from "./listen.ts";
import { NODE_HELP, type NodeCommand, parseNodeOptions } from "./node-options.ts";
import { openNodeRole } from "./node-role.ts";
import { systemClock } from "./platform/clock.ts";
import { readToken } from "./platform/private-files.ts";
import { createSystemRandom } from "./platform/random.ts";
import { readTls, tlsKeyOf } from "./platform/tls.ts";
import type { RoleProcess } from "./role-process.ts";

/** Runs until `stopped` resolves. Throws where it cannot start, and where its log is not to be believed any more. */
export async function runNode(args: string[], { print, report, stopped }: RoleProcess): Promise<void> {
  const command = parseNodeOptions(args);
  if (command === "help") return print(NODE_HELP);
  const token = await readToken(command.tokenPath, "give the token of the gateway's operator with --token-file");
  const tls = command.tls && (await readTls(command.tls, servedName(command)));
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
    print(readyText(command, node, listening.url));
    const broken = await Promise.race([stopped, node.broken]);
    await node.drain();
    if (broken !== undefined) throw broken;
  } finally {
    await listening?.close();
    await node.close();
  }
}

function readyText({ gateway, json }: NodeCommand, { id, name }: { id: string; name: string }, url: string): string {
  if (json) return `${JSON.stringify({ url, id, name, gateway })}\n`;
  return `The node ${name} is ready at ${url}

It runs models for ${gateway}. Its key: ${id}
`;
}
