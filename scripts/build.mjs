/**
 * Builds what runs from `dist`: the packages by the TypeScript compiler, then the files the explorer's page links to by
 * esbuild, then the models that are converted rather than committed. What is newer than all it is made from is left
 * alone. Where a tool is missing (an install without development dependencies), what was built before is used; where
 * nothing was, the build says what to do.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const { resolve } = createRequire(import.meta.url);

const PACKAGES = ["protocol", "client", "explorer", "server"];
const ISLANDS = ["page.js", "verify.js", "page.css", "icon.svg"];
const CONVERTED = ["prompt-injection.onnx", "use-lite.onnx"];

/** In order; a step that `isDone` is not run. */
const steps = [
  {
    name: "the packages",
    tool: "typescript",
    outputs: PACKAGES.map((name) => `packages/${name}/dist/index.js`),
    isDone: () => false, // The compiler knows, and knows faster.
    run: compile,
  },
  {
    name: "the explorer's assets",
    tool: "esbuild",
    outputs: ISLANDS.map((name) => `packages/explorer/dist/assets/${name}`),
    isDone() {
      const inputs = [
        "packages/explorer/src",
        "packages/protocol/src",
        "packages/protocol/platform",
        "scripts/build.mjs",
      ];
      return isNewer(this.outputs, inputs);
    },
    run: bundle,
  },
  {
    name: "the converted models",
    tool: "tsx",
    outputs: CONVERTED.map((name) => `models/.build/${name}`),
    isDone() {
      return isNewer(this.outputs, ["models/build.ts", "models/convert.ts"]);
    },
    run: convert,
  },
];

for (const step of steps) {
  const isBuilt = step.outputs.every((path) => existsSync(join(root, path)));
  if (isBuilt && step.isDone()) continue;
  if (isInstalled(step.tool)) await step.run();
  else if (isBuilt) console.error(`${step.tool} is not installed: ${step.name} are used as they were built before.`);
  else {
    console.error(
      `${step.name} are not built, and ${step.tool}, which builds them, is not installed: run "npm install --include=dev".`,
    );
    process.exit(1);
  }
}

function compile() {
  const tsc = join(dirname(resolve("typescript/package.json")), "bin", "tsc");
  try {
    execFileSync(process.execPath, [tsc, "-b"], { cwd: root, stdio: "inherit" });
  } catch {
    process.exit(1); // The compiler has said why.
  }
}

async function bundle() {
  const { build } = await import("esbuild");
  const from = (path) => join(root, "packages/explorer/src", path);
  await build({
    entryPoints: [from("islands/page.ts"), from("islands/verify.ts"), from("assets/page.css"), from("assets/icon.svg")],
    entryNames: "[name]",
    outdir: join(root, "packages/explorer/dist/assets"),
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: ["es2023", "chrome120", "firefox129", "safari17"],
    conditions: ["@tallystick/source"],
    loader: { ".svg": "copy" },
    logLevel: "warning",
  }).catch(() => process.exit(1)); // esbuild has said why.
}

function convert() {
  const args = ["--import", "tsx", "--conditions=@tallystick/source", "models/build.ts"];
  execFileSync(process.execPath, args, { cwd: root, stdio: "inherit" });
}

function isInstalled(tool) {
  try {
    return resolve(`${tool}/package.json`) !== undefined;
  } catch {
    return false;
  }
}

/** Whether the oldest of `outputs` is newer than all that is under `inputs`. */
function isNewer(outputs, inputs) {
  const oldest = Math.min(...outputs.map((path) => statSync(join(root, path)).mtimeMs));
  return inputs.flatMap((path) => under(join(root, path))).every((path) => statSync(path).mtimeMs < oldest);
}

/** `path` and everything below it. Folders count too: a file taken away changes its folder. */
function under(path) {
  if (!statSync(path).isDirectory()) return [path];
  return [path, ...readdirSync(path).flatMap((name) => under(join(path, name)))];
}
