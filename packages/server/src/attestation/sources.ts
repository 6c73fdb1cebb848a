/** Where a node gets evidence of the machine that it runs on: the kernel, a command of its operator's, or a simulation. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import {
  type Collateral,
  type Evidence,
  findJson,
  hex,
  parseBase64,
  parsePemChain,
  type Signer,
  sha384,
  signSimulation,
  utf8,
} from "@tallystick/protocol";
import { z } from "zod";
import { type Clock, nowSeconds } from "../platform/clock.ts";
import { OperatorError } from "../platform/errors.ts";
import type { Random } from "../platform/random.ts";
import { readTsm, type TsmFiles } from "./tsm.ts";

export type Collected = Pick<Evidence, "technology" | "evidence" | "collateral">;

/** Gives evidence whose report data begin with what it is asked to bind. */
export type EvidenceSource = (reportData: Uint8Array) => Promise<Collected>;

const COMMAND_MS = 60_000;
const OUTPUT_SIZE_BYTES = 2 * 1024 * 1024;
const base64Bytes = z.string().transform((text, context) => {
  const bytes = parseBase64(text);
  if (bytes !== undefined) return bytes;
  context.addIssue({ code: "custom", message: "is not base64" });
  return z.NEVER;
});
const Output = z.strictObject({
  technology: z.enum(["nitro", "tdx", "snp"]),
  evidence: base64Bytes,
  collateral: z.array(z.strictObject({ kind: z.enum(["certificate", "crl", "json"]), bytes: base64Bytes })).max(16),
});

/** Runs `path` with the report data in hex as its one argument; it prints JSON: {technology, evidence, collateral}. */
export function commandSource(path: string): EvidenceSource {
  return async (reportData) => {
    const { stdout } = await promisify(execFile)(path, [hex(reportData)], {
      timeout: COMMAND_MS,
      maxBuffer: OUTPUT_SIZE_BYTES,
    }).catch((cause: unknown) => {
      throw new OperatorError(`${path} gave no evidence: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
    const parsed = Output.safeParse(findJson(stdout));
    if (!parsed.success)
      throw new OperatorError(
        `${path} has to print {technology, evidence, collateral}: ${z.prettifyError(parsed.error)}`,
      );
    return parsed.data;
  };
}

/** Asks the kernel. What its vendor's service says beside that (certificates in PEM, collateral in JSON) is read from a file. */
export function tsmSource(files: TsmFiles, random: Random, collateralPath: string | undefined): EvidenceSource {
  return async (reportData) => {
    const collected = await readTsm(files, `tallystick-${hex(random(8))}`, reportData);
    const beside = collateralPath === undefined ? [] : await readCollateral(collateralPath);
    return { ...collected, collateral: [...collected.collateral, ...beside] };
  };
}

async function readCollateral(path: string): Promise<Collateral[]> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new OperatorError(`${path} cannot be read: give the collateral of this machine's evidence`, { cause });
  });
  if (text.trimStart().startsWith("{")) return [{ kind: "json", bytes: utf8(text) }];
  return parsePemChain(text).map((bytes) => ({ kind: "certificate", bytes }));
}

/** How long simulated evidence holds: shorter than real evidence does, so that a schedule shows. */
const SIMULATED_SECONDS = 3_600;

/** Makes evidence up by a key of the operator's own. It is labelled simulated everywhere, and never counted. */
export function simulatedSource(signer: Signer, clock: Clock): EvidenceSource {
  return async (reportData) => {
    const now = nowSeconds(clock);
    const times = { notBeforeSeconds: now, notAfterSeconds: now + SIMULATED_SECONDS };
    const register = sha384(utf8("tallystick simulated image"));
    const evidence = await signSimulation(signer, { register, reportData, ...times });
    return { technology: "simulated", evidence, collateral: [{ kind: "key", bytes: signer.spki }] };
  };
}
