import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { sha256, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../../test/folder.ts";
import { closeDatabase, openDatabase } from "../platform/database.ts";
import { STATUS } from "../platform/errors.ts";
import { ARCHIVE_LIMITS, createArchive } from "./archive-store.ts";

const id = (text: string) => sha256(utf8(text));
const opening = { requestSalt: id("a"), call: utf8("a call"), responseSalt: id("b"), answer: utf8("an answer") };

test("one key's disputes wait up to their limit, and one more is to be sent again once one is decided", async () => {
  await using folder = await temporaryFolder();
  const database = openDatabase(join(folder.path, "archive"));
  const random = (count: number) => new Uint8Array(randomBytes(count));
  const archive = createArchive({ database, sealingKey: id("key"), random });
  for (let i = 0; i < ARCHIVE_LIMITS.openingsOfOne; i++) archive.keepOpening(id(`dispute ${i}`), id("one"), opening);
  const again = () => archive.keepOpening(id("one more"), id("one"), opening);
  const refusal = { code: "rate_limited", message: expect.stringMatching(/16 disputes of this key .* send it again/) };
  expect(again).toThrow(expect.objectContaining(refusal));
  expect(STATUS.rate_limited).toBe(429);
  archive.keepOpening(id("another's"), id("two"), opening);
  archive.forgetOpening(id("dispute 3"));
  again();
  expect(archive.findOpening(id("one more"))).toEqual(opening);
  closeDatabase(database);
});
