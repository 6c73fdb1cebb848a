/** A client of a tiny network. */
import { type Client, createClient, createInputs, type Edges, type Model } from "@tallystick/client";
import { utf8 } from "@tallystick/protocol";
import { MANIFEST } from "../one-receipt.ts";
import { API_KEY, TinyNetwork, type TinySettings } from "./tiny-network.ts";

export const URL = "http://tiny.example";
export const INPUTS = createInputs(MANIFEST.forms, utf8("[1, 2]"));

export type Opened = { network: TinyNetwork; client: Client; model: Model };

export async function open(settings: TinySettings = {}, edges: Partial<Edges> = {}): Promise<Opened> {
  const network = await TinyNetwork.open(settings);
  const all = { fetch: network.fetch, sleep: async () => {}, ...edges };
  const client = createClient({ url: URL, apiKey: API_KEY, trust: network.log.trust, edges: all });
  return { network, client, model: await client.model("example/double") };
}
