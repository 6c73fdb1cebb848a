/** Which network a command is about: the one running here, or the one that `--network` names. */
import { join, resolve } from "node:path";
import { type LogTrust, parseNoteKey, trustInLog } from "@tallystick/protocol";
import type { Edges } from "../edges.ts";
import { createHttp, fieldOf } from "../http.ts";
import { findFile, type Home } from "./home.ts";
import { UsageError } from "./terminal.ts";

export type NetworkPlace = { url: string; apiKey?: string; vkey: string; trustedBecause: string };

/** `--network` and what may stand in for it. */
export type NetworkOptions = { network?: string; apiKey?: string; vkey?: string };

export function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}

/**
 * Finds a network: `--network` as a URL or a data folder, else the data folder `.tallystick` here. A local folder says
 * its log's key itself; of a network known by URL alone the key is the one that `--vkey` gives, or that it was first met with.
 */
export async function findNetwork(
  options: NetworkOptions,
  home: Home,
  edges: Edges,
  env: NodeJS.ProcessEnv,
): Promise<NetworkPlace> {
  const given = options.network ?? env.TALLYSTICK_NETWORK ?? ".tallystick";
  const apiKey = options.apiKey ?? env.TALLYSTICK_API_KEY;
  const local = await findReady(isUrl(given) ? ".tallystick" : given);
  if (!isUrl(given)) {
    if (local === undefined)
      throw new UsageError(
        `no network is running in ${resolve(given)}: start one with \`npm start\`, or name one with --network URL`,
      );
    return settle({ ...local, ...(apiKey === undefined ? {} : { apiKey }) }, options, home);
  }
  const url = given.replace(/\/+$/, "");
  if (local?.url === url) return settle({ ...local, ...(apiKey === undefined ? {} : { apiKey }) }, options, home);
  const claimed = String(fieldOf(await createHttp(url, edges).json("/v1/network"), "logVkey"));
  const known = await home.findLog(parseNoteKey(claimed).name);
  const because =
    known === undefined ? "it is what the network said when it was first met" : "it is the key it was first met with";
  return settle(
    { url, vkey: known ?? claimed, trustedBecause: because, ...(apiKey === undefined ? {} : { apiKey }) },
    options,
    home,
  );
}

async function settle(place: NetworkPlace, { vkey }: NetworkOptions, home: Home): Promise<NetworkPlace> {
  if (vkey !== undefined) return { ...place, vkey, trustedBecause: "--vkey gives it" };
  await home.rememberLog(place.vkey);
  return place;
}

/** The network that runs on a data folder. */
async function findReady(folder: string): Promise<(NetworkPlace & { apiKey: string }) | undefined> {
  const bytes = await findFile(join(folder, "ready.json"));
  if (bytes === undefined) return undefined;
  const ready: unknown = JSON.parse(new TextDecoder().decode(bytes));
  const [url, apiKey, vkey] = ["url", "apiKey", "logVkey"].map((key) => String(fieldOf(ready, key)));
  return {
    url: url ?? "",
    apiKey: apiKey ?? "",
    vkey: vkey ?? "",
    trustedBecause: "it is in the network's own data folder",
  };
}

export function trustOf(vkey: string): LogTrust {
  return trustInLog(parseNoteKey(vkey));
}
