/** What lies in deploy/: held to the program it starts, as far as that goes without systemd running and without a container engine. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KEY_FILES } from "../packages/server/src/keys.ts";
import { HELP, parseOptions } from "../packages/server/src/options.ts";
import { temporaryFolder } from "./folder.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
/** Where the units and the image have the checkout. */
const INSTALLED = "/opt/tallystick";
const UNITS = readdirSync(join(root, "deploy")).filter((name) => name.endsWith(".service"));

/** A unit's settings, each with all its values. Lines that end with a backslash go on. */
function settingsOf(unit: string): Map<string, string[]> {
  const text = read(join("deploy", unit)).replaceAll(/\\\n\s*/g, "");
  const settings = new Map<string, string[]>();
  for (const [, name = "", value = ""] of text.matchAll(/^([A-Za-z]+)=(.*)$/gm))
    settings.set(name, [...(settings.get(name) ?? []), value]);
  return settings;
}

/** The arguments that `command` gives to tallyd. */
function argumentsIn(command: readonly string[]): string[] {
  const at = command.indexOf(`${INSTALLED}/packages/server/bin/tallyd.js`);
  expect(at, command.join(" ")).toBeGreaterThan(0);
  return command.slice(at + 1);
}

const execStartOf = (unit: string) => settingsOf(unit).get("ExecStart")?.[0]?.split(" ") ?? [];

test("the network's unit starts tallyd with options that it takes together", () => {
  const args = argumentsIn(execStartOf("tallyd.service")).map((word) =>
    word
      .replace(/\$\{TALLYSTICK_URL\}/, "https://tallystick.example:8787")
      .replace(/\$\{STATE_DIRECTORY\}/, "/var/lib/tallystick")
      .replace(/\$\{CREDENTIALS_DIRECTORY\}/, "/run/credentials/tallyd.service"),
  );
  expect(args.join(" ")).not.toContain("$");
  for (const flag of args.filter((word) => word.startsWith("--"))) expect(HELP).toContain(`  ${flag}`);
  expect(parseOptions(args, "models")).toMatchObject({ host: "0.0.0.0", data: "/var/lib/tallystick", json: true });
});

test("the network's unit is handed every key, under the name by which tallyd looks for it", () => {
  const credentials = settingsOf("tallyd.service").get("LoadCredential") ?? [];
  const names = credentials.map((value) => value.split(":")[0]);
  expect(names.sort()).toEqual([...Object.values(KEY_FILES), "tls-cert.pem", "tls-key.pem"].sort());
});

test("the witness's unit starts tallyd witness with options that its help names", (context) => {
  const [command = "", ...args] = argumentsIn(execStartOf("tallyd-witness.service"));
  expect(command).toBe("witness");
  const help = tallydHelp("witness");
  if (help === undefined) return context.skip("this tallyd has no witness");
  for (const flag of args.filter((word) => word.startsWith("--"))) expect(help).toContain(`  ${flag}`);
});

function tallydHelp(command: string): string | undefined {
  const args = [join(root, "packages/server/bin/tallyd.js"), command, "--help"];
  try {
    return execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
}

test.each(UNITS)(
  "%s is a unit that systemd takes, for a user of its own, with memory that V8 can run in",
  async (unit) => {
    const settings = settingsOf(unit);
    expect(settings.get("DynamicUser")).toEqual(["yes"]);
    expect(settings.get("MemoryDenyWriteExecute")).toEqual(["no"]);
    expect(settings.get("ProtectSystem")).toEqual(["strict"]);
    expect(settings.get("Restart")).toEqual(["on-failure"]);
  },
);

test.for(UNITS)("systemd-analyze finds nothing wrong with %s, and little that it may do", async (unit, context) => {
  await using place = await temporaryFolder();
  // The programs that a unit names have to be there.
  const rendered = read(join("deploy", unit)).replaceAll("/usr/bin/node", process.execPath).replaceAll(INSTALLED, root);
  const path = join(place.path, unit);
  await writeFile(path, rendered);
  const analyze = (...args: string[]) => {
    const [program = "", ...rest] = ["systemd-analyze", ...args, path];
    return execFileSync(program, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  };
  if (!hasProgram("systemd-analyze")) return context.skip("systemd-analyze is not here");
  expect(analyze("verify", "--man=no")).toBe("");
  analyze("security", "--offline=true", "--threshold=20"); // In tenths; it fails above.
});

function hasProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));
}

type Instruction = { name: string; rest: string };

/** The stages of the image, each its instructions. Lines that end with a backslash go on. */
function stages(): Instruction[][] {
  const lines = read("deploy/Containerfile")
    .replaceAll(/^#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line !== "");
  const found: Instruction[][] = [];
  for (const line of lines) {
    const [, name = "", rest = ""] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
    expect(name, line).not.toBe("");
    if (name === "FROM") found.push([]);
    found.at(-1)?.push({ name, rest });
  }
  return found;
}

const instruction = (stage: readonly Instruction[], wanted: string) =>
  stage.findLast(({ name }) => name === wanted)?.rest ?? "";
const listOf = (json: string): string[] => JSON.parse(/\[.*\]$/.exec(json)?.[0] ?? "[]");

test("the image copies what is there and nothing that .dockerignore leaves out", () => {
  const allowed = read(".dockerignore")
    .split("\n")
    .filter((line) => line.startsWith("!"));
  const [build = [], run = []] = stages();
  const copied = build.filter(({ name }) => name === "COPY").flatMap(({ rest }) => rest.split(" ").slice(0, -1));
  expect(copied.length).toBeGreaterThan(5);
  for (const path of copied) {
    expect(existsSync(join(root, path)), path).toBe(true);
    expect(allowed).toContain(`!${path}`);
  }
  expect(allowed.map((line) => line.slice(1)).sort()).toEqual(copied.sort());
  expect(instruction(build, "WORKDIR")).toBe(INSTALLED);
  expect(instruction(run, "COPY")).toBe(`--from=build ${INSTALLED} ${INSTALLED}`);
});

test("the image runs tallyd as a user that is not root, from its volume, on its default port", () => {
  const all = stages();
  expect(all).toHaveLength(2);
  for (const [from] of all) expect(from?.rest).toMatch(/^docker\.io\/library\/node:\d+-[a-z]+-slim( AS build)?$/);
  const run = all[1] ?? [];
  expect(instruction(run, "USER")).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(instruction(run, "WORKDIR")).toBe(instruction(run, "VOLUME"));
  const command = [...listOf(instruction(run, "ENTRYPOINT")), ...listOf(instruction(run, "CMD"))];
  const options = parseOptions(argumentsIn(command), "models");
  expect(options).toMatchObject({ port: Number(instruction(run, "EXPOSE")), data: ".tallystick" });
  expect(instruction(run, "STOPSIGNAL")).toBe("SIGTERM");
  const programs = [...command, ...listOf(instruction(run, "HEALTHCHECK"))].filter((word) =>
    word.startsWith(INSTALLED),
  );
  expect(programs).toHaveLength(2);
  for (const program of programs) expect(existsSync(program.replace(INSTALLED, root)), program).toBe(true);
  expect(instruction(run, "ENV")).toBe(`TALLYSTICK_HEALTH_URL=http://127.0.0.1:${instruction(run, "EXPOSE")}`);
});

test("the health check fails while the network is not ready, and while there is none", async () => {
  let status = 200;
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(status).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const check = async () => {
    const env = { TALLYSTICK_HEALTH_URL: `http://127.0.0.1:${port}` };
    const child = spawn(process.execPath, [join(root, "deploy/health.mjs")], { env, stdio: "ignore" });
    return (await once(child, "exit"))[0];
  };
  expect(await check()).toBe(0);
  status = 503;
  expect(await check()).toBe(1);
  server.close();
  expect(await check()).toBe(1);
  expect(asked).toEqual(["/v2/health/ready", "/v2/health/ready"]);
});

test("every option of tallyd in deploy/README.md is one that its help names", () => {
  const blocks = [...read("deploy/README.md").matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  const commands = blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, "").split("\n"));
  const args = commands.flatMap(
    (line) => /(?:tallyd\.js|localhost\/tallystick) (.*)$/.exec(line)?.[1]?.split(" ") ?? [],
  );
  const flags = args.filter((word) => word.startsWith("--"));
  expect(flags.length).toBeGreaterThan(8);
  for (const flag of flags) expect(HELP).toContain(`  ${flag}`);
});
