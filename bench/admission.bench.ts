/** The door before the sequencer: strangers' entries parsed and their signatures verified, against bare P-256 verification, in turn. */
import { createPublicKey, verify } from "node:crypto";
import { parseEntry, signEntry, verifySigned } from "@tallystick/protocol";
import { createSigner, generateKey } from "../packages/server/src/platform/keys.ts";
import { createSystemRandom } from "../packages/server/src/platform/random.ts";
import { median, type Row } from "./ratio.ts";

const ENTRIES = 2_000;
const ROUNDS = 7;

/** Entries a second of processor time: both do nothing but compute, so what else the machine does is left out. */
async function perSecond(work: () => Promise<boolean> | boolean): Promise<number> {
  const before = process.cpuUsage();
  if (!(await work())) throw new Error("a good signature does not hold");
  const { user, system } = process.cpuUsage(before);
  return (1e6 * ENTRIES) / (user + system);
}

export async function benchAdmission(): Promise<Row[]> {
  const random = createSystemRandom();
  const signer = createSigner(generateKey());
  const reliances = await Promise.all(
    Array.from({ length: ENTRIES }, () => signEntry(signer, "reliance", { version: 1, receipt: random(32) })),
  );
  const key = createPublicKey({ key: Buffer.from(signer.spki), format: "der", type: "spki" });
  const raw = () =>
    reliances.every(({ signed: { toBeSigned, signature } }) =>
      verify("sha256", toBeSigned, { key, dsaEncoding: "ieee-p1363" }, signature),
    );
  const admit = async () => {
    for (const { signed } of reliances)
      if (!(await verifySigned(parseEntry(signed.bytes).signed, signer.spki))) return false;
    return true;
  };
  const rounds: { rate: number; ratio: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const rawRate = await perSecond(raw);
    const rate = await perSecond(admit);
    rounds.push({ rate, ratio: rate / rawRate });
  }
  return [
    {
      name: "entries parsed and verified/s of CPU, of baseline",
      value: median(rounds.map(({ ratio }) => ratio)),
      unit: "×",
      bound: { atLeast: 0.5 },
      baseline: "raw P-256 verification of the same signatures",
    },
    { name: "entries parsed and verified/s of CPU", value: median(rounds.map(({ rate }) => rate)), unit: "/s" },
  ];
}
