/**
 * Compiled programs with their verification keys, each made here from its text and kept on this machine's disk under the
 * digest of that text: who verifies takes neither from who proves.
 */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { hex, sha256, utf8 } from "@tallystick/protocol";
import { ServiceError } from "../platform/errors.ts";
import { makeFolder, writeDurably } from "../platform/files.ts";
import type { Lane } from "./lane.ts";
import type { ProvingLimits } from "./limits.ts";
import type { CompiledProgram, Reply, Request } from "./messages.ts";

export type Program = { compiled: CompiledProgram; verificationKey: Uint8Array; gates: number };

/** The compiler and the prover: with others the same text is another program, and so has another key. */
const TOOLS = "noir 1.0.0-beta.26, barretenberg 5.0.0";

export type Programs = {
  /** The program of `text`, compiled where it was not yet. Throws a ServiceError. */
  get(text: string): Promise<Program>;
};

/** The programs in `folder`, made by `lane` where they lack. */
export function createPrograms(folder: string, lane: Lane, limits: ProvingLimits): Programs {
  const known = new Map<string, Promise<Program>>();

  async function make(text: string, path: string): Promise<Program> {
    const kept = await readFile(path, "utf8").catch(() => undefined);
    if (kept !== undefined) return parseKept(kept);
    const compiled = expectReply(
      await lane.ask({ kind: "compile", text }, limits.compileTimeoutMs),
      "compiled",
    ).program;
    const request: Request = { kind: "key", program: compiled };
    const { verificationKey, gates } = expectReply(await lane.ask(request, limits.proveTimeoutMs), "key");
    await makeFolder(folder);
    const key = Buffer.from(verificationKey).toString("base64");
    await writeDurably(path, JSON.stringify({ gates, verificationKey: key, compiled }));
    await prune();
    return { compiled, verificationKey, gates };
  }

  /** Removes what was written longest ago of more programs than are kept. */
  async function prune(): Promise<void> {
    const paths = (await readdir(folder)).filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
    const dated = await Promise.all(paths.map(async (path) => ({ path, at: (await stat(path)).mtimeMs })));
    dated.sort((a, b) => b.at - a.at);
    for (const { path } of dated.slice(limits.programs)) await rm(path, { force: true });
  }

  return {
    get(text) {
      const digest = hex(sha256(utf8(`${TOOLS}\n${text}`)));
      const program =
        known.get(digest) ??
        make(text, join(folder, `${digest}.json`)).catch((error: unknown) => {
          known.delete(digest);
          throw error;
        });
      if (known.size >= limits.programs) known.clear();
      known.set(digest, program);
      return program;
    },
  };
}

function parseKept(text: string): Program {
  const { gates, verificationKey, compiled }: { gates: number; verificationKey: string; compiled: string } =
    JSON.parse(text); // What was written here.
  return { gates, verificationKey: new Uint8Array(Buffer.from(verificationKey, "base64")), compiled };
}

/** The reply where it is of the `kind` that was asked for. Throws a ServiceError where it is a fault. */
export function expectReply<K extends Reply["kind"]>(reply: Reply, kind: K): Extract<Reply, { kind: K }> {
  if (isOfKind(reply, kind)) return reply;
  const reason = reply.kind === "fault" ? reply.message : `the prover replied ${reply.kind}`;
  const needsCrs = /crs|srs/i.test(reason);
  throw new ServiceError(
    "unavailable",
    needsCrs
      ? `the tier proved is not to be had here: ${reason}; set CRS_PATH to a folder with bn254_g1.dat and bn254_g2.dat of the Aztec Ignition ceremony, or let this machine reach crs.aztec-cdn.foundation`
      : `no proof was made: it ${reason}`,
  );
}

function isOfKind<K extends Reply["kind"]>(reply: Reply, kind: K): reply is Extract<Reply, { kind: K }> {
  return reply.kind === kind;
}
