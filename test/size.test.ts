/** What a person has to install, held to a budget: an operator at most 700 MB, an application developer at most 10 MB. */
import { lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const MB = 1_000_000;

/** Bytes of the files under `folder`. */
function sizeOf(folder: string, skip: (name: string) => boolean = () => false): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink() || skip(entry.name)) return sum;
    return sum + (entry.isDirectory() ? sizeOf(path) : lstatSync(path).size);
  }, 0);
}

/** The folder of `name` as a package in `from` finds it; undefined where it is not installed, as other platforms' binaries are not. */
function findPackage(name: string, from: string): string | undefined {
  for (const folder of [from, join(from, "../.."), join(from, "../../.."), root]) {
    const path = join(folder, "node_modules", name);
    try {
      return realpathSync(path);
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}

/** Every package that installing `name` brings, and its own bytes. */
function closureOf(name: string): Map<string, number> {
  const sizes = new Map<string, number>();
  const visit = (folder: string, own: string) => {
    if (sizes.has(own)) return;
    sizes.set(
      own,
      sizeOf(folder, (entry) => entry === "node_modules" || entry === "src"),
    );
    const manifest: { dependencies?: object; optionalDependencies?: object } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );
    for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
      const found = findPackage(dependency, folder);
      if (found !== undefined) visit(found, dependency);
    }
  };
  visit(realpathSync(join(root, "node_modules", name)), name);
  return sizes;
}

function heaviest(sizes: Map<string, number>): string {
  const rows = [...sizes].sort((a, b) => b[1] - a[1]).slice(0, 8);
  return rows.map(([name, bytes]) => `${(bytes / MB).toFixed(1)} MB ${name}`).join(", ");
}

const total = (sizes: Map<string, number>) => [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);

test("an operator installs at most 700 MB", () => {
  const sizes = closureOf("@tallystick/server");
  expect(sizes.has("onnxruntime-web")).toBe(true);
  expect(total(sizes), heaviest(sizes)).toBeLessThan(700 * MB);
});

test("an application developer installs at most 10 MB, and no engine", () => {
  const sizes = closureOf("@tallystick/client");
  expect(total(sizes), heaviest(sizes)).toBeLessThan(10 * MB);
  const own = ["@tallystick/client", "@tallystick/protocol"];
  expect([...sizes.keys()].sort()).toEqual(["@noble/hashes", ...own, "@zkpassport/poseidon2"]);
});

test("engines that an operator adds are in nobody's dependencies", () => {
  const manifests = ["", ...readdirSync(join(root, "packages")).map((name) => `packages/${name}`)].map((folder) =>
    readFileSync(join(root, folder, "package.json"), "utf8"),
  );
  expect(manifests.filter((text) => text.includes("node-llama-cpp"))).toEqual([]);
  const dependencies = manifests.map((text) => Object.keys(JSON.parse(text).dependencies ?? {}));
  expect(dependencies.flat()).not.toContain("onnxruntime-node");
});
