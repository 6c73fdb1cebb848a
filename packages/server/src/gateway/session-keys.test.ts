import { applyEntry, createFold, type FoldState, keyOf } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { tagOf, UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { createSessionKeys } from "./session-keys.ts";

const keyNamed = (name: string) => unsignedSigner(name).spki;
const [first, second] = [keyOf(tagOf("first")), keyOf(tagOf("second"))];
const conflict = expect.objectContaining({
  code: "conflict",
  message: expect.stringMatching(/make a new session key/),
});

/** A log in which `first` has the key "granted", and its fold, which follows when told to. */
async function open(): Promise<{ log: UsageLog; fold: FoldState; follow: () => void }> {
  const log = await UsageLog.open();
  await log.grant("granted", "first");
  const fold = createFold();
  const follow = () => {
    for (const entry of log.entries.slice(fold.size)) applyEntry(fold, entry);
  };
  follow();
  return { log, fold, follow };
}

test("a session key is its first payer's for good, by what the log has and by what it gets later", async () => {
  const { log, fold, follow } = await open();
  const keys = createSessionKeys(fold);
  expect(() => keys.claim(keyNamed("granted"), second)).toThrow(conflict);
  keys.claim(keyNamed("granted"), first).release();
  await log.grant("later", "second");
  await log.grant("later again", "first", "account", "later"); // By a gateway that does not look.
  keys.claim(keyNamed("later"), first).release();
  follow();
  expect(() => keys.claim(keyNamed("later"), first)).toThrow(conflict);
  keys.claim(keyNamed("later"), second).release();
});

test("a key whose grant is on its way is nobody else's, until every such grant has failed", async () => {
  const { fold } = await open();
  const keys = createSessionKeys(fold);
  const [one, other] = [keys.claim(keyNamed("new"), first), keys.claim(keyNamed("new"), first)];
  expect(() => keys.claim(keyNamed("new"), second)).toThrow(conflict);
  one.release();
  expect(() => keys.claim(keyNamed("new"), second)).toThrow(conflict);
  other.release();
  keys.claim(keyNamed("new"), second).release();
});
