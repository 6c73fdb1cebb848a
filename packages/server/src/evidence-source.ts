/** What an operator says of a node's evidence, made into where it comes from. */
import { join } from "node:path";
import { hex, keyId } from "@tallystick/protocol";
import { commandSource, type EvidenceSource, simulatedSource, tsmSource } from "./attestation/sources.ts";
import { KERNEL_FILES } from "./attestation/tsm.ts";
import type { Attest } from "./node-options.ts";
import { systemClock } from "./platform/clock.ts";
import type { Report } from "./platform/http.ts";
import { openSigner } from "./platform/keys.ts";
import type { Random } from "./platform/random.ts";

export async function openEvidenceSource(
  attest: Attest,
  { data, random, report }: { data: string; random: Random; report: Report },
): Promise<EvidenceSource> {
  if (attest.kind === "command") return commandSource(attest.path);
  if (attest.kind === "tsm") return tsmSource(KERNEL_FILES, random, attest.collateralPath);
  const signer = await openSigner(join(data, "keys", "simulated-root.pem"));
  report("this node's evidence is simulated, and never counts as attested", { simulatedRoot: hex(keyId(signer.spki)) });
  return simulatedSource(signer, systemClock);
}
