/** test/vectors/usage: small logs, whole, with the figures that they fold to. */
import { applyEntry, base64, createFold, figuresOf } from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { NOON_SECONDS } from "../../test/one-receipt.ts";
import { DAY, HOUR, UsageLog } from "../../test/usage-log.ts";

function vectorOf(desc: string, { entries }: UsageLog): object {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return { desc, wantErr: false, entries: entries.map(({ signed }) => base64(signed.bytes)), figures: figuresOf(fold) };
}

export async function usageVectors(): Promise<object[]> {
  return [
    vectorOf("an empty log", new UsageLog(fixedSigner)),
    vectorOf("one decision of two calls, relied on twice", await oneDecision()),
    vectorOf("every reason to exclude a receipt", await everyExclusion()),
    vectorOf("three days and what no epoch covers yet", await threeDays()),
  ];
}

async function oneDecision(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  const decision = new Uint8Array(16).fill(7);
  const first = await log.call({ authorization: { decision } });
  const second = await log.call({ authorization: { decision } });
  await log.acknowledge(first);
  await log.rely(first);
  await log.rely(second);
  await log.rely(first, "node");
  await log.epoch(NOON_SECONDS);
  return log;
}

async function everyExclusion(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  await log.enrol("session of a node", "node");
  await log.grant("session of a node");
  await log.publish("example/yanked");
  await log.yank("example/yanked");
  await log.call();
  await log.call({ session: "nobody's session" });
  await log.call({ asker: "another key" });
  await log.call({ authorization: { nonce: 0, expiry: NOON_SECONDS } });
  await log.call({ node: "stranger" });
  await log.call({ model: "example/unpublished" });
  await log.call({ model: "example/yanked" });
  await log.call({ receipt: { status: "failed", price: 0n } });
  await log.call({ receipt: { price: 6n } });
  await log.call({ authorization: { traffic: "test" } });
  await log.call({ authorization: { traffic: "probe" } });
  await log.call({ session: "session of a node" });
  await log.epoch(NOON_SECONDS);
  return log;
}

async function threeDays(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  await log.grant("second session", "second payer", "gateway");
  const early = await log.call();
  const covered = log.entries.length;
  await log.call({ session: "second session" });
  await log.epoch(NOON_SECONDS, covered);
  await log.epoch(NOON_SECONDS + DAY);
  await log.rely(early);
  await log.epoch(NOON_SECONDS + 2 * DAY + HOUR);
  await log.call();
  return log;
}
