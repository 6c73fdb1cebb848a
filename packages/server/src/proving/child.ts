/**
 * The entry of a proving child: a process, since a compiler and a prover that take too long or too much have to be ended,
 * and neither may be where a key is.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type CompiledCircuit, Noir } from "@noir-lang/noir_js";
import { compile, createFileManager } from "@noir-lang/noir_wasm";
import { type Backend, bytecodeOf, openBackend } from "./barretenberg.ts";
import type { ChildOptions, CompiledProgram, Reply, Request } from "./messages.ts";

const { threadCount, crsFolder }: ChildOptions = JSON.parse(process.argv[2] ?? "");
let opening: Promise<Backend> | undefined;

/** What this child compiled the last time it was asked to prove: the same again, as a rule. */
let last: { program: CompiledProgram; circuit: CompiledCircuit; noir: Noir } | undefined;

function backend(): Promise<Backend> {
  opening ??= openBackend(threadCount, crsFolder);
  return opening;
}

function load(program: CompiledProgram) {
  if (last?.program !== program) {
    const circuit: CompiledCircuit = JSON.parse(program);
    last = { program, circuit, noir: new Noir(circuit) };
  }
  return last;
}

async function compileText(text: string): Promise<CompiledProgram> {
  const folder = await mkdtemp(join(tmpdir(), "tallystick-"));
  try {
    await mkdir(join(folder, "src"));
    await writeFile(
      join(folder, "Nargo.toml"),
      '[package]\nname = "circuit"\ntype = "bin"\nauthors = [""]\n[dependencies]\n',
    );
    await writeFile(join(folder, "src", "main.nr"), text);
    const { program } = await compile(createFileManager(folder));
    // Names of files are left out: they are of this machine, and nothing is proved with them.
    return JSON.stringify({ abi: program.abi, bytecode: program.bytecode });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function answer(request: Request): Promise<Reply> {
  switch (request.kind) {
    case "compile":
      return { kind: "compiled", program: await compileText(request.text) };
    case "key":
      return { kind: "key", ...(await (await backend()).key(bytecodeOf(load(request.program).circuit))) };
    case "prove": {
      const { circuit, noir } = load(request.program);
      const { witness } = await noir.execute(request.inputs);
      const solved = new Uint8Array(gunzipSync(witness));
      const proof = await (await backend()).prove(bytecodeOf(circuit), request.verificationKey, solved);
      return { kind: "proved", ...proof };
    }
    case "verify":
      return { kind: "verified", isValid: await (await backend()).verify(request.verificationKey, request) };
    case "solidity":
      return { kind: "solidity", source: await (await backend()).solidity(request.verificationKey) };
  }
}

process.on("message", async (request: Request) => {
  const reply = await answer(request).catch((error: unknown): Reply => {
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "fault", reason: "refused", message: message.slice(0, 500) };
  });
  process.send?.(reply);
});
process.on("disconnect", async () => (await opening)?.[Symbol.asyncDispose]());
