import { createNoteKey, encodeNoteKey } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { systemEdges } from "../edges.ts";
import { models } from "./commands.ts";
import { openHome } from "./home.ts";

/** In the order of their publication, with the figures that decide their rank; the last has none yet. */
const OFFERED = [
  { id: "example/relied", tallystick: { rank: 9, demand: { organic: 0 }, valid: 90, decisionsReliedOn: 40 } },
  { id: "example/few", tallystick: { rank: 2, demand: { organic: 7 }, valid: 80, decisionsReliedOn: 9 } },
  { id: "example/new", tallystick: {} },
  { id: "example/many", tallystick: { rank: 1, demand: { organic: 7 }, valid: 8, decisionsReliedOn: 0 } },
];
const RANKED = ["example/many", "example/few", "example/relied", "example/new"];

/** What `tally models` writes of a network that offers those. */
async function listed(json: boolean): Promise<string> {
  await using place = await temporaryFolder();
  const logVkey = encodeNoteKey(createNoteKey("example/log", "ed25519", new Uint8Array(32).fill(7)));
  const edges = {
    ...systemEdges,
    fetch: async (url: string) => Response.json(url.endsWith("/v1/models") ? { data: OFFERED } : { logVkey }),
  };
  const texts: string[] = [];
  const terminal = { out: (text: string) => void texts.push(text), err: () => {}, isTty: false };
  const home = openHome({ TALLYSTICK_HOME: place.path });
  await models({ network: "http://network.example", json }, { terminal, edges, home, env: {} });
  return texts.join("");
}

test("the most used model is the one that the figures rank first, not the one that is relied on most", async () => {
  const lines = (await listed(false)).trimEnd().split("\n");
  expect(lines.map((line) => line.split(/ +/).slice(0, 2))).toEqual([
    ["#", "MODEL"],
    ...RANKED.map((name, i) => [["1", "2", "9", "-"][i], name]),
  ]);
  expect(lines[0]).toMatch(/ORGANIC +VALID +RELIED ON/);
  const rows: { name: string; rank: number | null; organic: number }[] = JSON.parse(await listed(true));
  expect(rows.map(({ name, rank, organic }) => [name, rank, organic])).toEqual([
    ["example/many", 1, 7],
    ["example/few", 2, 7],
    ["example/relied", 9, 0],
    ["example/new", null, 0],
  ]);
});
