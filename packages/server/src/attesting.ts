/** Attestation of nodes elsewhere, as the network's own verifier does it: its key, its archive, its routes. */
import { type FoldState, keyId, keyOf, type Signer, signEntry } from "@tallystick/protocol";
import type { Hono } from "hono";
import { createAppraiser } from "./attestation/appraiser.ts";
import type { EvidenceArchive } from "./attestation/archive-store.ts";
import { referenceRoutes } from "./attestation/references.ts";
import { attestationRoutes } from "./attestation/routes.ts";
import type { Clock } from "./platform/clock.ts";
import type { Random } from "./platform/random.ts";

export type AttestingParts = {
  archive: EvidenceArchive;
  fold: FoldState;
  clock: Clock;
  random: Random;
  signers: { gateway: Signer; verifier: Signer; publisher: Signer };
  simulatedRoot: Uint8Array | undefined;
  isNode(header: string | undefined): boolean;
  isAdmin(header: string | undefined): boolean;
  publish(entry: Uint8Array): Promise<number>;
};

export function openAttesting(parts: AttestingParts): Hono {
  const { archive, fold, clock, random, signers, simulatedRoot, isNode, isAdmin, publish } = parts;
  const appraiser = createAppraiser({
    ...{ signer: signers.verifier, clock, random, archive, simulatedRoot },
    async publish(entry) {
      await enrolOnce();
      return publish(entry);
    },
  });
  let enrolling: Promise<unknown> | undefined;

  /** Where the network verifies nothing else, its verifier's key comes into the log with the first appraisal. */
  function enrolOnce(): Promise<unknown> {
    const { spki } = signers.verifier;
    if (fold.keys.has(keyOf(keyId(spki)))) return Promise.resolve();
    const says = { version: 1, action: "enrol", role: "verifier", spki, name: "local-verifier" } as const;
    enrolling ??= signEntry(signers.verifier, "key", says)
      .then(({ signed }) => publish(signed.bytes))
      .finally(() => {
        enrolling = undefined;
      });
    return enrolling;
  }

  const references = referenceRoutes({ publisher: signers.publisher, isAdmin, publish });
  const routes = attestationRoutes({ appraiser, archive, fold, clock, id: keyId(signers.gateway.spki), isNode });
  return routes.route("/", references);
}
