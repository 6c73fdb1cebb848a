/** Which network a command is about: the one running here, or the one that `--network` names. */
import { join, resolve } from "node:path";
import {
  APP_NAME_LENGTH,
  encodeNoteKey,
  equal,
  followHandovers,
  type Handover,
  isAppName,
  type LogTrust,
  Malformed,
  type NoteKey,
  type Policy,
  parseHandover,
  parseNoteKey,
  trustInLog,
  utf8,
} from "@tallystick/protocol";
import { orUnverified, RefusedError, UnreachableError, UnverifiedError } from "../errors.ts";
import { createHttp, fieldOf } from "../http.ts";
import type { Context } from "./context.ts";
import { findFile } from "./home.ts";
import { UsageError } from "./terminal.ts";

/** The key of a log, and why it is believed. */
export type LogKey = {
  vkey: string;
  because: string;
  /** How the log's keys gave way to one another, before and after this one. */
  handovers: readonly Handover[];
};
export type NetworkPlace = { url: string; apiKey?: string; logKey: LogKey };

/** `--network` and what may stand in for it. */
export type NetworkOptions = { network?: string; apiKey?: string; vkey?: string };
export type AskingOptions = NetworkOptions & { app?: string };

export const GIVEN = "--vkey or --policy gives it";
export const MET_BEFORE = "it is the key that this log was first met with";
export const MET_NOW = "it is what the network said when it was first met";
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
  const said = parseNoteKey(place.logKey.vkey);
  const own = options.vkey ?? keyInPolicy(context, said.name, said);
  const known = own ?? (await home.findLog(said.name)) ?? place.logKey.vkey;
  const logKey = known === place.logKey.vkey ? place.logKey : await followKey(known, place, context);
  if (own === undefined) await home.rememberLog(logKey.vkey);
  const because = own === undefined ? {} : { vkey: own, because: GIVEN };
  return { ...place, logKey: { ...logKey, ...because }, ...(apiKey === undefined ? {} : { apiKey }) };
}

/**
 * The key that the caller's policy has for the log called `origin`: the one that is said of it, where the policy has several.
 * Undefined where the policy names no log at all. Throws UnverifiedError where it names others alone.
 */
export function keyInPolicy({ policy }: Pick<Context, "policy">, origin: string, said?: NoteKey): string | undefined {
  if (policy === undefined || policy.logs.length === 0) return undefined;
  const keys = policy.logs.flatMap(({ key }) => (key.name === origin ? [key] : []));
  const key = keys.find(({ publicKey }) => said !== undefined && equal(publicKey, said.publicKey)) ?? keys[0];
  if (key !== undefined) return encodeNoteKey(key);
  const names = policy.logs.map(({ key: { name } }) => name).join(", ");
  throw new UnverifiedError(
    `the policy is about ${names} and not about the log ${origin}: give it a line "log VKEY" of this one`,
  );
}

/**
 * The key that is known of a network's log, where the network says another: believed on, if the known one gave way to that
 * one by handovers that hold. Where it did not, the network's word is what is then held to the known key, and refused.
 */
async function followKey(vkey: string, { url, logKey }: NetworkPlace, { edges, home }: Context): Promise<LogKey> {
  const said = parseNoteKey(logKey.vkey);
  if (parseNoteKey(vkey).name !== said.name) return { ...logKey, vkey, handovers: [] };
  const handovers = await askHandovers(url, { edges });
  const known: LogKey = { vkey, because: MET_BEFORE, handovers };
  const { keys } = await trustOf(known);
  if (!keys.some(({ key }) => equal(key.publicKey, said.publicKey))) return { ...logKey, handovers: [] };
  await home.keepHandovers(said.name, handovers);
  return known;
}

async function askHandovers(url: string, { edges }: Pick<Context, "edges">): Promise<Handover[]> {
  const texts = fieldOf(await createHttp(url, edges).json("/v1/log"), "handovers");
  return (Array.isArray(texts) ? texts : []).map((text: unknown) =>
    orUnverified("the log's handover", () => parseHandover(utf8(String(text)))),
  );
}

/** What a client that asks is made of, and the key of the log that it will hold receipts to. */
export async function openAsking(
  { app, ...options }: AskingOptions,
  context: Context,
): Promise<{ url: string; apiKey: string; app?: string; trust: LogTrust; edges: Context["edges"]; logKey: LogKey }> {
  if (app !== undefined && !isAppName(app))
    throw new UsageError(
      `--app takes a name in lower case of at most ${APP_NAME_LENGTH} characters, as example/shop, not ${JSON.stringify(app)}`,
    );
  const { url, apiKey, logKey } = await findNetwork(options, context);
  if (apiKey === undefined) throw new UsageError("asking needs an API key: give --api-key, or set TALLYSTICK_API_KEY");
  const trust = await trustOf(logKey, context.policy);
  return { url, apiKey, ...(app === undefined ? {} : { app }), trust, edges: context.edges, logKey };
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
  return { url, logKey: { vkey, because: met === undefined ? MET_NOW : MET_BEFORE, handovers: [] } };
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
    return {
      url: url ?? "",
      apiKey: apiKey ?? "",
      logKey: { vkey: vkey ?? "", because: IN_DATA_FOLDER, handovers: [] },
    };
  } catch (cause) {
    throw new Error(`${path} is not what a running network writes: start the network again`, { cause });
  }
}

/** Whom to believe about a log: its key with those before and after it, and the witnesses that the caller asks for. */
export function trustOf({ vkey, handovers }: LogKey, policy?: Policy): Promise<LogTrust> {
  return followHandovers(trustInLog(parseNoteKey(vkey), policy), handovers);
}
