/** What ran a model, as far as bits depend on it: read once from the engine that is installed. */
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { concat, type ExecutionProfile, sha256 } from "@tallystick/protocol";

/** What an operator does who wants a native revision and lacks its engine. */
const INSTALL = "npm install onnxruntime-node@1.30.0 --ignore-scripts";

/** The same for a GGUF revision: without the builds for graphics cards, which are 600 MB. */
const INSTALL_LLAMA =
  "npm install node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64 --omit=optional --ignore-scripts (or the package of your platform)";

const { resolve } = createRequire(import.meta.url);

/** The judge's profile, and the very bytes it is about, compiled once for all its threads. */
export async function readJudge(): Promise<{ profile: ExecutionProfile; module: WebAssembly.Module }> {
  const path = resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm");
  const bytes = new Uint8Array(await readFile(path));
  const runtime = await readRuntime(join(path, "../../package.json"));
  return { profile: profileOf(runtime, bytes, "exact"), module: await WebAssembly.compile(bytes) };
}

/** Whether the native engine is installed. */
export const hasNative = () => isInstalled("onnxruntime-node/package.json");

/** Whether llama.cpp is. */
export const hasLlama = () => isInstalled("node-llama-cpp");

function isInstalled(id: string): boolean {
  try {
    resolve(id);
    return true;
  } catch {
    return false;
  }
}

/** The native engine's profile. Throws, and says what to do, where it is not installed. */
export async function readNative(find: (id: string) => string = resolve): Promise<ExecutionProfile> {
  let path: string;
  try {
    path = find("onnxruntime-node/package.json");
  } catch (cause) {
    throw new Error(`the native engine is not installed: ${INSTALL}`, { cause });
  }
  const folder = join(path, "../bin/napi-v6", process.platform, process.arch);
  const names = await readdir(folder).catch(() => []);
  const name = names.find((one) => /^(lib)?onnxruntime\.(\d|so|dylib|dll)/.test(one));
  if (name === undefined) throw new Error(`the native engine has no binary for ${process.platform} on ${process.arch}`);
  return profileOf(await readRuntime(path), await readFile(join(folder, name)), "tolerant");
}

/**
 * The profile of llama.cpp and the URL of node-llama-cpp. Its binary is many files: the digest is over those of all that
 * run code, in the order of their names. Throws, and says what to do, where it is not installed.
 */
export async function readLlama(
  find: (id: string) => string = resolve,
): Promise<{ profile: ExecutionProfile; module: string }> {
  let path: string;
  try {
    path = find("node-llama-cpp");
  } catch (cause) {
    throw new Error(`the llama engine is not installed: ${INSTALL_LLAMA}`, { cause });
  }
  const root = join(path, "../..");
  const platform = `${process.platform === "darwin" ? "mac" : process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const folder = join(root, "../@node-llama-cpp", platform, "bins", platform);
  const names = (await readdir(folder).catch(() => [])).filter((one) => /\.(node|so|dylib|dll)$/.test(one)).sort();
  if (names.length === 0) throw new Error(`the llama engine has no binary for ${platform}: ${INSTALL_LLAMA}`);
  const digests: Uint8Array[] = [];
  for (const name of names) digests.push(sha256(await readFile(join(folder, name))));
  const profile = profileOf(await readRuntime(join(root, "package.json")), concat(...digests), "tolerant", "");
  return { profile, module: pathToFileURL(path).href };
}

async function readRuntime(path: string): Promise<string> {
  const { name, version }: { name: string; version: string } = JSON.parse(await readFile(path, "utf8"));
  return `${name}@${version}`;
}

/** What bits depend on beside the engine's binary, at the end of its name: its settings, and the tables by which texts are read. */
const settingsOf = (optimisation: string) => `${optimisation}/threads-1/unicode-${process.versions.unicode}`;

function profileOf(
  runtime: string,
  binary: Uint8Array,
  exactness: ExecutionProfile["exactness"],
  optimisation = "/opt-all",
): ExecutionProfile {
  return { runtime: `${runtime}${settingsOf(optimisation)}`, binary: sha256(binary), exactness };
}
