/** test/vectors/usage: small logs, whole, with the figures that they fold to. */
import {
  applyEntry,
  base64,
  concat,
  createFold,
  figuresOf,
  hex,
  rulesDigest,
  sha256,
  utf8,
} from "@tallystick/protocol";
import { fixedSigner } from "../../test/fixed-keys.ts";
import { NOON_SECONDS } from "../../test/one-receipt.ts";
import { type CallChanges, DAY, HOUR, JUDGE, tagOf, UsageLog } from "../../test/usage-log.ts";

function vectorOf(desc: string, { entries }: UsageLog): object {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  const figures = figuresOf(fold);
  const documents = fold.series.flatMap(({ rules, digests }) =>
    [...digests].map(([day, digest]) => ({ day, rules: hex(rulesDigest(rules)), digest: hex(digest) })),
  );
  return { desc, wantErr: false, entries: entries.map(({ signed }) => base64(signed.bytes)), figures, documents };
}

export async function usageVectors(): Promise<object[]> {
  return [
    vectorOf("an empty log", new UsageLog(fixedSigner)),
    vectorOf("one decision of two calls, relied on twice", await oneDecision()),
    vectorOf("every reason to exclude a receipt", await everyExclusion()),
    vectorOf("three days and what no epoch covers yet", await threeDays()),
    vectorOf("credits from top-up to payout, one receipt refunded, one unpaid", await credits()),
    vectorOf("every fault of a settlement", await everySettlementFault()),
    vectorOf("a lot of two verifiers, one of which is absent once", await twoVerifiers()),
    vectorOf("every tier, a dispute upheld, a judge revoked, a day closed", await everyTier()),
    vectorOf("a receipt that another node signs anew, and one that its own node does", await oneEquivocation()),
    vectorOf("a lot of two calls of which one is drawn by chance and one because it was asked for", await oneAsked()),
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

async function oneEquivocation(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  await log.enrol("second node", "node");
  for (const node of ["node", "second node"]) await log.call({ authorization: { nonce: 0 }, node });
  for (const node of ["node", "node"]) await log.call({ authorization: { nonce: 1 }, node });
  await log.epoch(NOON_SECONDS);
  return log;
}

async function everyExclusion(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner, { priceAtomic: 3n });
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
  await log.call({ receipt: { price: 4n } });
  await log.call({ receipt: { price: 3n } });
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

/** A session of credits: its payer may spend what it was topped up with, and a hundred in the session. */
async function openWithCredits(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner, { priceAtomic: 12n, unitPriceAtomic: 1_000_000n });
  await log.grant("paying", "payer", "account", "paying", { paymentClass: "credits", budget: 1_000n });
  return log;
}

const PAID: CallChanges = { session: "paying", authorization: { maxPrice: 20n }, receipt: { price: 13n } };

async function credits(): Promise<UsageLog> {
  const log = await openWithCredits();
  await log.topUp("payer", 17n, { source: "operator" });
  await log.topUp("payer", 22n);
  const first = await log.call(PAID);
  const second = await log.call(PAID);
  const third = await log.call(PAID);
  await log.call(PAID); // The 39 are spent.
  await log.epoch(NOON_SECONDS);
  await log.charge("payer", 26n, [first, second]);
  await log.refund("payer", 13n, second);
  await log.refund("payer", 5n, third);
  await log.charge("payer", 8n, [third]);
  await log.payOut("node", 15n);
  await log.call(PAID); // 18 were given back.
  await log.epoch(NOON_SECONDS + DAY);
  return log;
}

async function everySettlementFault(): Promise<UsageLog> {
  const log = await openWithCredits();
  await log.topUp("payer", 50n, { reference: tagOf("one reference") });
  await log.topUp("payer", 51n, { reference: tagOf("one reference") });
  const first = await log.call(PAID);
  const second = await log.call(PAID);
  await log.charge(
    "payer",
    3n,
    [tagOf("no receipt"), tagOf("no receipt")].map((half) => concat(half, half)),
  );
  await log.charge("somebody else", 13n, [first]);
  await log.charge("payer", 26n, [first, first]);
  await log.charge("payer", 39n, [first, first, concat(tagOf("no receipt"), tagOf("no receipt"))]);
  await log.charge("payer", 14n, [first]);
  await log.charge("payer", 13n, [first]);
  await log.charge("payer", 26n, [first, second]);
  await log.enrol("another gateway", "gateway");
  await log.charge("payer", 13n, [second], "another gateway");
  await log.refund("payer", 2n, second, "another gateway");
  await log.refund("payer", 14n, second);
  await log.refund("payer", 2n, second);
  await log.refund("payer", 1n, second);
  await log.payOut("node", 11n);
  await log.epoch(NOON_SECONDS);
  return log;
}

const OPEN: CallChanges = { authorization: { openness: "lot" } };

async function twoVerifiers(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  for (const verifier of ["first verifier", "second verifier"]) {
    await log.enrol(verifier, "verifier");
    await log.commitLot(verifier, 16);
  }
  await log.epoch(NOON_SECONDS);
  for (let i = 0; i < 3; i++) await log.call(OPEN);
  const first = log.entries.length;
  await log.epoch(NOON_SECONDS + HOUR);
  await log.revealLot("first verifier", first);
  await log.revealLot("second verifier", first);
  await log.call(OPEN);
  const second = log.entries.length;
  await log.epoch(NOON_SECONDS + 2 * HOUR);
  await log.revealLot("second verifier", second);
  for (let i = 0; i < 6; i++) await log.epoch(NOON_SECONDS + 2 * HOUR + 60 * (i + 1));
  return log;
}

async function everyTier(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  await log.enrol("verifier", "verifier");
  await log.enrol("referee", "referee");
  await log.enrol("disputer", "disputer");
  await log.commitLot("verifier", 16);
  await log.epoch(NOON_SECONDS);
  const asked: Uint8Array[] = [];
  for (let i = 0; i < 4; i++) asked.push(await log.call(OPEN));
  await log.appraise("verifier", "node");
  await log.reference("publisher");
  await log.call();
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + HOUR);
  await log.revealLot("verifier", epoch);
  const [passed, failed, unopened, proved] = asked;
  const none = new Uint8Array(32);
  await log.verify("verifier", passed ?? none, { epoch });
  await log.verify("verifier", failed ?? none, { epoch, outcome: "failed" });
  await log.verify("verifier", unopened ?? none, { epoch, outcome: "unopened" });
  await log.verify("verifier", proved ?? none, { epoch, method: "proof", ceremony: sha256(utf8("ceremony")) });
  await log.resolve("referee", await log.dispute("disputer", failed ?? none), "upheld");
  await log.epoch(NOON_SECONDS + 2 * DAY);
  await log.revoke("judge", JUDGE);
  return log;
}

async function oneAsked(): Promise<UsageLog> {
  const log = await UsageLog.open(fixedSigner);
  await log.enrol("verifier", "verifier");
  await log.commitLot("verifier", 16);
  await log.epoch(NOON_SECONDS);
  await log.call(OPEN);
  const asked = await log.call({ authorization: { openness: "lot", tier: "reexecuted" } });
  const epoch = log.entries.length;
  await log.epoch(NOON_SECONDS + HOUR);
  await log.revealLot("verifier", epoch);
  await log.verify("verifier", asked, { epoch });
  await log.call({ authorization: { openness: "lot", tier: "reexecuted" } });
  await log.epoch(NOON_SECONDS + 2 * HOUR);
  return log;
}
