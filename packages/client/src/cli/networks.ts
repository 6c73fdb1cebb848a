/** Which network a command is about: the one running here, or the one that `--network` names. */
import { join, resolve } from "node:path";
import { type LogTrust, Malformed, parseNoteKey, trustInLog } from "@tallystick/protocol";
import { RefusedError, UnreachableError } from "../errors.ts";
import { createHttp, fieldOf } from "../http.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";

/** The key of a log, and why it is believed. */
export type LogKey = { vkey: string; because: string };
export type NetworkPlace = { url: string; apiKey?: string; logKey: LogKey };

/** `--network` and what may stand in for it. */
export type NetworkOptions = { network?: string; apiKey?: string; vkey?: string };

export const GIVEN = "--vkey gives it";
export const MET_BEFORE = "it is the key that this log was first met with";
const MET_NOW = "it is what the network said when it was first met";
const IN_DATA_FOLDER = "it is in the network's own data folder";

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/**
 * Finds a network: `--network` as a URL or a data folder, else the data folder `.tallystick` here. A local folder says
 * its log's key itself; of a network known by URL alone the key is the one that `--vkey` gives, or that it was first met with.
 */
export async function findNetwork(options: NetworkOptions, context: Context): Promise<NetworkPlace> {
  const { home, env } = context;
  const given = options.network ?? env.TALLYSTICK_NETWORK ?? ".tallystick";
  const apiKey = options.apiKey ?? env.TALLYSTICK_API_KEY;
  const place = await locate(given, context);
  if (options.vkey === undefined) await home.rememberLog(place.logKey.vkey);
  const logKey = options.vkey === undefined ? place.logKey : { vkey: options.vkey, because: GIVEN };
  return { ...place, logKey, ...(apiKey === undefined ? {} : { apiKey }) };
}

async function locate(given: string, context: Context): Promise<NetworkPlace> {
  const local = await findRunning(isUrl(given) ? ".tallystick" : given);
  if (!isUrl(given)) {
    if (local !== undefined) return local;
    const hint = /^[a-z0-9.-]+:[0-9]+$/i.test(given) ? `--network http://${given}` : "--network URL";
    throw new UnreachableError(
      `no network is running in ${resolve(given)}: start one with \`npm start\`, or name one with ${hint}`,
    );
  }
  const url = given.replace(/\/+$/, "");
  if (local?.url === url) return local;
  const vkey = await askLogKey(url, context);
  const met = await context.home.findLog(parseNoteKey(vkey).name);
  return { url, logKey: { vkey, because: met === undefined ? MET_NOW : MET_BEFORE } };
}

async function askLogKey(url: string, { edges }: Context): Promise<string> {
  try {
    const vkey = String(fieldOf(await createHttp(url, edges).json("/v1/network"), "logVkey"));
    parseNoteKey(vkey);
    return vkey;
  } catch (cause) {
    const what = "is that a Tallystick network?";
    if (cause instanceof RefusedError)
      throw new RefusedError(cause.status, cause.code, `${url} answered with status ${cause.status}: ${what}`);
    if (cause instanceof Malformed) throw new UnreachableError(`${url} gives no key of a log: ${what}`, { cause });
    throw cause;
  }
}

/** The network that runs on a data folder. */
export async function findRunning(folder: string): Promise<NetworkPlace | undefined> {
  const path = join(folder, "ready.json");
  const bytes = await findFile(path);
  if (bytes === undefined) return undefined;
  try {
    const ready: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const [url, apiKey, vkey] = ["url", "apiKey", "logVkey"].map((key) => String(fieldOf(ready, key)));
    parseNoteKey(vkey ?? "");
    return { url: url ?? "", apiKey: apiKey ?? "", logKey: { vkey: vkey ?? "", because: IN_DATA_FOLDER } };
  } catch (cause) {
    throw new Error(`${path} is not what a running network writes: start the network again`, { cause });
  }
}

export function trustOf({ vkey }: LogKey): LogTrust {
  return trustInLog(parseNoteKey(vkey));
}
