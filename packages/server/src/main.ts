/** `tallyd`: opens a network, listens, says where, and ends cleanly. */
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { servedName } from "./exposure.ts";
import { makeKeys } from "./keys-main.ts";
import { type Listening, listen } from "./listen.ts";
import { type Network, openNetwork } from "./network.ts";
import { runNode } from "./node-main.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { firstCall } from "./pages.ts";
import { systemClock } from "./platform/clock.ts";
import { watchDiskSpace } from "./platform/disk-space.ts";
import { resolveTexts } from "./platform/dns.ts";
import { OperatorError, ServiceError, systemCode } from "./platform/errors.ts";
import { writeDurably } from "./platform/files.ts";
import { createLogging } from "./platform/logging.ts";
import { createSystemRandom } from "./platform/random.ts";
import { readTls } from "./platform/tls.ts";
import { approveReference } from "./reference-main.ts";
import { openRoleProcess, type RoleProcess } from "./role-process.ts";
import { runVerifier } from "./verifier-main.ts";
import { runWitness } from "./witness-main.ts";

/** The models beside the packages, in a checkout. */
const MODELS = join(dirname(fileURLToPath(import.meta.url)), "../../../models");
const HOUR_MS = 3_600_000;

/** Runs until a signal ends it. The process's exit status: 0 when it ended cleanly, 1 when it could not start. */
export async function main(args: string[], { crsPath }: { crsPath?: string | undefined } = {}): Promise<number> {
  try {
    await run(args, crsPath);
    return 0;
  } catch (error) {
    process.stderr.write(`tallyd: ${sentence(error, args)}\n`);
    return 1;
  }
}

async function run(args: string[], crsPath: string | undefined): Promise<void> {
  const [command, ...rest] = args;
  const print = (text: string) => void process.stdout.write(text);
  if (command === "keys") return makeKeys(rest, createSystemRandom(), print);
  if (command === "reference") return approveReference(rest, print);
  const role = openRoleProcess();
  if (command === "node") return runNode(rest, role);
  if (command === "verifier") return runVerifier(rest, role);
  if (command === "witness") return runWitness(rest, role);
  const options = parseOptions(args, MODELS, process.stderr.isTTY ? "text" : "json");
  if (options === "help") return print(HELP);
  return runNetwork(options, crsPath, role);
}

async function runNetwork(
  options: Options,
  crsPath: string | undefined,
  { print, stopped }: RoleProcess,
): Promise<void> {
  const say = (line: string) => options.json || print(`${line}\n`);
  const { format, level } = options.log;
  const write = (text: string) => void process.stderr.write(text);
  const { report, request, flush } = createLogging({ format, level, clock: systemClock, write });
  const { tls: tlsFiles, ...rest } = options;
  const tls = tlsFiles && (await readTls(tlsFiles, servedName(options)));
  say("Tallystick is starting: keys, log, models …");
  const network = await openNetwork({
    ...rest,
    ...(options.verifyShare === 0 ? {} : { verifying: { cpuShare: options.verifyShare } }),
    clock: systemClock,
    random: createSystemRandom(),
    report,
    resolveTexts,
    requestLog: request,
    crsPath,
    integrateIntervalMs: 200,
    epochIntervalMs: 10_000,
    deadlineMs: 30_000,
  });
  const readyPath = join(network.data, "ready.json");
  const disk = watchDiskSpace({ folder: network.data, report, intervalMs: HOUR_MS });
  let listening: Listening | undefined;
  try {
    listening = await listen(network, { ...rest, ...(tls && { tls }) });
    const { url } = listening;
    const { apiKey, data, origin, logVkey } = network;
    const ready = JSON.stringify({ url, apiKey, data, origin, logVkey });
    await writeDurably(readyPath, `${ready}\n`, 0o600);
    print(options.json ? `${ready}\n` : greeting(network, url, options.keys.folder ?? join(data, "keys")));
    await stopped;
    say("Tallystick is stopping …");
  } finally {
    await listening?.close();
    await disk.close();
    await rm(readyPath, { force: true }).catch(() => {}); // What could not be written need not be removable.
    await network.close();
    flush();
  }
}

function greeting({ data, apiKey }: Network, url: string, keys: string): string {
  return `
Tallystick is ready.

  page    ${url}
  keys    ${keys}
  log     ${join(data, "log", "tiles")}

A first call, with its receipt in the header x-receipt-id:

  ${firstCall(url, apiKey)}

For any client of OpenAI's API, in the shell that runs it:

  export OPENAI_BASE_URL=${url}/v1 OPENAI_API_KEY=${apiKey}

Then: npx tally verify <receipt id> · npx tally usage · npx tally audit ${url}
`;
}

/** What went wrong, for an operator: one sentence, and what to do. */
function sentence(error: unknown, args: string[]): string {
  if (error instanceof OperatorError) return error.message;
  if (error instanceof ServiceError && error.code === "unavailable") return error.message; // The disk, at the first writes.
  const path = error instanceof Error && "path" in error ? ` ${error.path}` : "";
  const code = systemCode(error);
  if (code === "EADDRINUSE") return "the port is taken: give another with --port, or --port 0 for any";
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
    return `nothing can listen on the address given with --host: ${error instanceof Error ? error.message : code}`;
  if (code === "EISDIR" && error instanceof Error && "dest" in error)
    return `${error.dest} is a folder where a file of the network's belongs: move it away`;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return `may not write${path}: give a folder of your own with --data`;
  if (code === "EIO") return `the disk fails${path && ` at${path}`}: look at it, and then start again`;
  if (code === "ENOSPC" || code === "SQLITE_FULL")
    return `the disk is full${path}: free some space and start again; nothing acknowledged is lost`;
  return `could not start with ${JSON.stringify(args)}: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
}
