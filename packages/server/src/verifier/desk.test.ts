import { join } from "node:path";
import {
  applyEntry,
  createFold,
  encodeLotOpening,
  type FoldState,
  type LotOpening,
  sha256,
  signEntry,
  signedId,
  utf8,
} from "@tallystick/protocol";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { ServiceError } from "../platform/errors.ts";
import { createSystemRandom } from "../platform/random.ts";
import { createArchive } from "./archive-store.ts";
import { createDesk } from "./desk.ts";
import { forgetDecided } from "./lots.ts";

const OPENING: LotOpening = {
  ...{ requestSalt: sha256(utf8("salt")), call: utf8("a call") },
  ...{ responseSalt: sha256(utf8("salt")), answer: utf8("an answer") },
};

async function openLog(): Promise<{ log: UsageLog; receipt: Uint8Array }> {
  const log = await UsageLog.open();
  await log.enrol("verifier", "verifier");
  await log.enrol("referee", "referee");
  return { log, receipt: await log.call({ authorization: { openness: "lot" } }) };
}

function foldOf({ entries }: UsageLog): FoldState {
  const fold = createFold();
  for (const entry of entries) applyEntry(fold, entry);
  return fold;
}

async function disputeOf(receipt: Uint8Array) {
  const says = { version: 1, receipt, ground: "mismatch", evidence: sha256(utf8("evidence")) } as const;
  return (await signEntry(unsignedSigner("verifier"), "dispute", says)).signed;
}

async function openArchive() {
  const folder = await temporaryFolder();
  const database = openDatabase(join(folder.path, "state.sqlite"));
  const archive = createArchive({ database, sealingKey: new Uint8Array(32), random: createSystemRandom() });
  return {
    archive,
    async [Symbol.asyncDispose]() {
      closeDatabase(database);
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("what a dispute brought for the referee stays though somebody sends the same dispute again and is refused", async () => {
  const { log, receipt } = await openLog();
  await using opened = await openArchive();
  const { archive } = opened;
  let isKnown = false;
  const desk = createDesk({
    ...{ fold: foldOf(log), archive, submit: () => Promise.reject(new Error("not asked")) },
    readEntry: async (index) => log.entries[index]?.signed.bytes ?? new Uint8Array(0),
    async submitOpened() {
      if (isKnown) throw new ServiceError("conflict", "this key disputes it already");
      isKnown = true;
      return { index: 1, alreadyLogged: false };
    },
  });
  const dispute = await disputeOf(receipt);
  const statement = { entry: dispute.bytes, opening: encodeLotOpening(OPENING) };
  await desk.dispute(statement);
  await expect(desk.dispute(statement)).rejects.toThrow("already");
  expect(archive.findOpening(signedId(dispute))).toEqual(OPENING);
});

test("what came with a dispute that was decided, or never came into the log, is destroyed at the next start", async () => {
  const { log, receipt } = await openLog();
  await using opened = await openArchive();
  const { archive } = opened;
  const waiting = await log.dispute("verifier", await log.call({ authorization: { openness: "lot" } }));
  const decided = await log.dispute("verifier", receipt);
  await log.resolve("referee", decided, "rejected");
  const lost = sha256(utf8("a crash came before the log had it"));
  for (const id of [waiting, decided, lost]) archive.keepOpening(id, log.idOf("verifier"), OPENING);
  forgetDecided(foldOf(log), archive);
  expect([waiting, decided, lost].map((id) => archive.findOpening(id))).toEqual([OPENING, undefined, undefined]);
});
