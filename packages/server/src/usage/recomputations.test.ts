import { applyEntry, createFold, hex, keyId, sha256, signEntry, utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { UsageLog, unsignedSigner } from "../../../../test/usage-log.ts";
import { DayDocuments } from "./day-documents.ts";
import { createDocuments } from "./documents.ts";
import { createRecomputations } from "./recomputations.ts";
import { RecomputationsQuery } from "./schemas.ts";
import { usageView } from "./view.ts";

const SOCKS = 60;

/** A real auditor who agrees, enrolled first, then socks who disagree, and a real one who disagrees among the last. */
async function heard() {
  const log = await UsageLog.open(unsignedSigner);
  const names = ["honest", ...Array.from({ length: SOCKS }, (_, i) => `sock ${i}`)];
  for (const name of names) await log.enrol(name, "auditor");
  for (const name of names) await log.recompute({ size: 3 }, name);
  for (const name of names.slice(1)) await log.recompute({ size: 4, agrees: "no" }, name);
  await log.recompute({ size: 5 }, "honest");
  const fold = createFold();
  for (const entry of log.entries) applyEntry(fold, entry);
  return { fold, idOf: (name: string) => hex(log.idOf(name)) };
}

const ask = (query: Record<string, string> = {}) => RecomputationsQuery.parse(query);

test("pages hold each auditor's last word once, those who disagree first, each group by when the key enrolled", async () => {
  const { fold, idOf } = await heard();
  const list = createRecomputations(fold);
  const seen: string[] = [];
  let cursor: string | null | undefined;
  for (let pages = 1; cursor !== null; pages++) {
    const page = list(ask({ limit: "25", ...(cursor === undefined ? {} : { cursor }) }));
    expect([page.agreed, page.disagreed]).toEqual([1, SOCKS]);
    seen.push(...page.recomputations.map(({ auditor }) => auditor));
    cursor = page.next;
    expect(pages).toBeLessThan(4);
  }
  const socks = Array.from({ length: SOCKS }, (_, i) => idOf(`sock ${i}`));
  expect(seen).toEqual([...socks, idOf("honest")]);
});

test("whoever enrols many keys pushes nobody out who agrees, and a reader's own auditors are a question away", async () => {
  const { fold, idOf } = await heard();
  const list = createRecomputations(fold);
  const agreeing = list(ask({ agrees: "yes" })).recomputations;
  expect(agreeing).toMatchObject([{ auditor: idOf("honest"), size: 5, agrees: true }]);
  const own = list(ask({ auditor: [idOf("honest"), idOf("sock 7")].join(",") })).recomputations;
  expect(own.map(({ size, agrees }) => [size, agrees])).toEqual([
    [4, false],
    [5, true],
    [3, true],
    [3, true],
  ]);
  const head = () => ({ size: fold.size, root: sha256(utf8("root")), note: { text: "", signatures: [] } });
  const closed = new DayDocuments({ folder: "none is read", nowMs: () => 0, report: () => {} });
  const documents = createDocuments({ fold, closed, head, nowMs: () => 0 })();
  const shown = usageView(fold, documents, list).recomputations;
  expect(shown).toHaveLength(26);
  expect(shown.at(-1)).toMatchObject({ auditor: idOf("honest"), agrees: true });
});

test("who counts again after the list was asked for is in it the next time", async () => {
  const { fold } = await heard();
  const list = createRecomputations(fold);
  expect(list(ask()).disagreed).toBe(SOCKS);
  const late = unsignedSigner("late");
  const enrolment = { version: 1, action: "enrol", role: "auditor", spki: late.spki, name: "late" } as const;
  const digests = { rules: sha256(utf8("rules")), result: sha256(utf8("result")) };
  const says = { version: 1, size: 6, agrees: "no", ...digests } as const;
  for (const entry of [await signEntry(late, "key", enrolment), await signEntry(late, "recomputation", says)])
    applyEntry(fold, entry);
  expect(list(ask())).toMatchObject({ disagreed: SOCKS + 1 });
  expect(list(ask()).recomputations[SOCKS]).toMatchObject({ auditor: hex(keyId(late.spki)) });
});
