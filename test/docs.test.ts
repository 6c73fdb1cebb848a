/** The documents: links lead somewhere, the README is short, and its commands do what it says on a network started as it says. */
import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const run = promisify(execFile);

const documents = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)))
  .filter((path) => !/(^|\/)(node_modules|dist|\.[a-z]+)\//.test(path));

test("every relative link of every document leads to a file", () => {
  expect(documents.length).toBeGreaterThan(10);
  const broken = documents.flatMap((path) => {
    const text = readFileSync(join(root, path), "utf8").replace(/```[\s\S]*?```/g, "");
    const links = [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "");
    return links
      .filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(path), link)))
      .map((link) => `${path}: ${link}`);
  });
  expect(broken).toEqual([]);
});

test("the README has at most 150 lines", () => {
  expect(readFileSync(join(root, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(151);
});

test("the README's commands work in its order, on a network started in an empty folder", async () => {
  const home = await mkdtemp(join(tmpdir(), "tallystick-readme-"));
  const data = join(home, ".tallystick");
  const daemon = spawn(
    process.execPath,
    [join(root, "packages/server/bin/tallyd.js"), "--port", "0", "--data", data, "--json"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  try {
    await new Promise((resolve) => daemon.stdout.once("data", resolve));
    const env = { ...process.env, TALLYSTICK_HOME: join(home, "tally"), TALLYSTICK_NETWORK: data };
    const printed: string[] = [];
    for (const command of tallyCommands()) {
      const args = command.split(" ").map((word) => (word.startsWith("models/") ? join(root, word) : word));
      const { stdout } = await run(process.execPath, [join(root, "packages/client/bin/tally.js"), ...args], {
        cwd: home,
        env,
      });
      printed.push(stdout);
    }
    expect(printed.join("\n")).toMatch(/verified, at the tier "signed"/);
    expect(printed.join("\n")).toMatch(/difference {2}0\n/);
  } finally {
    daemon.kill("SIGTERM");
    await new Promise((resolve) => daemon.once("exit", resolve));
    await rm(home, { recursive: true });
  }
}, 240_000);

/** What follows `npx tally` in the README's shell blocks. */
function tallyCommands(): string[] {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  const commands = blocks.flatMap((block) => [...block.matchAll(/^npx tally (.+)$/gm)].map((match) => match[1] ?? ""));
  expect(commands.length).toBeGreaterThan(5);
  return commands;
}
