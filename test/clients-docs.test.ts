/**
 * docs/start.md and the pages in docs/clients: their `sh` and `ts` blocks are run in their order, in a folder as `npm start` leaves one,
 * against a network that serves every model. Variables that a block exports hold for those behind it. A `text` block right
 * behind a block is what it prints, with … for what varies.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "./network.ts";

const root = join(import.meta.dirname, "..");
const CLIENTS = "docs/clients";
const PAGES = [
  "docs/start.md",
  ...readdirSync(join(root, CLIENTS)).flatMap((name) => (name.endsWith(".md") ? [`${CLIENTS}/${name}`] : [])),
];
const run = promisify(execFile);

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork({ models: join(root, "models") });
  const { url, apiKey, logVkey } = network;
  await writeFile(join(network.data, "ready.json"), JSON.stringify({ url, apiKey, logVkey })); // As the daemon does.
});
afterAll(() => network[Symbol.asyncDispose]());

type Block = { language: "sh" | "ts"; code: string; prints: string | undefined };

function blocksOf(page: string): Block[] {
  const found = page.matchAll(/^```(sh|ts)\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm);
  return [...found].map(([, language, code = "", prints]) => ({
    language: language === "ts" ? "ts" : "sh",
    code: code.replaceAll("localhost:8787", new URL(network.url).host),
    prints,
  }));
}

test.each(PAGES)(
  "what %s says to run does what it says",
  async (page) => {
    const folder = await mkdtemp(join(tmpdir(), "tallystick-docs-"));
    try {
      await symlink(network.data, join(folder, ".tallystick"));
      for (const shared of ["node_modules", "models"]) await symlink(join(root, shared), join(folder, shared));
      const blocks = blocksOf(readFileSync(join(root, page), "utf8"));
      expect(blocks.length).toBeGreaterThan(0);
      let exported = "";
      for (const { language, code, prints } of blocks) {
        const { stdout } = await run(
          "bash",
          ["-euo", "pipefail", "-c", `${exported}${await commandOf(language, code, folder)}`],
          { cwd: folder, env: { ...process.env, TALLYSTICK_HOME: join(folder, "home") } },
        );
        if (prints !== undefined) expect(stdout.trim()).toMatch(patternOf(prints));
        exported += (code.match(/^export .*\n/gm) ?? []).join("");
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  180_000,
);

async function commandOf(language: Block["language"], code: string, folder: string): Promise<string> {
  if (language === "sh") return code;
  await writeFile(join(folder, "block.mts"), code);
  const tsx = import.meta.resolve("tsx");
  return `exec "${process.execPath}" --import "${tsx}" --conditions=@tallystick/source block.mts`;
}

/** Text in which … stands for anything. */
function patternOf(prints: string): RegExp {
  const literal = prints
    .trim()
    .split("…")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join("[\\s\\S]*?")}$`);
}
