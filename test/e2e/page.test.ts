import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient, createInputs, createKey } from "@tallystick/client";
import { encodeNoteKey, utf8 } from "@tallystick/protocol";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixedNoteSigner } from "../fixed-keys.ts";
import { temporaryFolder } from "../folder.ts";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";

const CHROMIUM = "/usr/bin/chromium";
const hasChromium = existsSync(CHROMIUM);
/** A folder to leave pictures of the page in, for a person to look at. */
const { TALLYSTICK_PICTURES: pictures } = process.env;
const SWITCHES = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The checks of a receipt, in the order in which the page has them. */
const CHECKS = [
  "asked for",
  "form",
  "id",
  "requester signature",
  "node signature",
  "grant",
  "model",
  "terms",
  "inclusion",
  "checkpoint",
  "request opening",
  "response opening",
  "witnesses",
  "execution",
  "attested",
  "reexecuted",
  "proved",
];
const AFTER = ["execution", "attested", "reexecuted", "proved"];
const UNOPENED = ["request opening", "response opening", "witnesses", ...AFTER];

describe.skipIf(!hasChromium)(hasChromium ? "the page" : "the page (skipped: no Chromium)", () => {
  let browser: Browser;
  let network: TestNetwork;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: SWITCHES });
    network = await startNetwork();
  });
  afterAll(async () => {
    await browser.close();
    await network[Symbol.asyncDispose]();
  });

  /** Opens the page and does something there; whatever it complained of meanwhile fails the test. */
  async function onPage(name: string, act: (page: Page) => Promise<void>, width = 1280): Promise<void> {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const complaints: string[] = [];
    page.on("console", (message) => void (message.type() === "error" && complaints.push(message.text())));
    page.on("pageerror", (error) => void complaints.push(String(error)));
    page.on("requestfailed", (request) => void complaints.push(`${request.url()} failed`));
    await page.goto(network.url);
    await act(page);
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
    await page.close();
    expect(complaints).toEqual([]);
  }

  test("of an empty network shows zeros, its models as idle, and a command that makes the first call", async () => {
    await onPage("empty", async (page) => {
      expect(await page.title()).toBe(`Tallystick · ${network.origin}`);
      for (const number of await page.locator(".number").allInnerTexts()) expect(number).toBe("0");
      expect(await page.locator(".number").count()).toBe(9);
      expect(await seen(page.locator("#call h2"))).toBe("Make the first call");
      expect(await seen(page.locator("#call pre"))).toContain(`curl -i ${network.url}/v2/models/`);
      expect(await page.locator("table.active").count()).toBe(0);
      expect(await rowsOf(page, "table.idle")).toMatchObject([{ Rank: "—" }, { Rank: "—" }]);
      expect(await seen(page.locator("#receipts .none"))).toBe("No receipt yet.");
    });
  });

  test("of a network in use shows its figures, ranks what is used and names what is not", async () => {
    for (let i = 0; i < 3; i++) await network.infer("statlog/credit-default", [creditInput(i)]);
    await network.infer("statlog/credit-default", [creditInput()], { parameters: { traffic: "test" } });
    await network.idle();
    const client = createClient({ url: network.url });
    await client.rely(await latestReceipt(1), (await createKey()).signer, "a-relier");
    await network.closeEpoch();
    await onPage("used", async (page) => {
      expect(await seen(page.locator(".today .number"))).toBe("1");
      const figures = await page.locator("dl.figures > div").allInnerTexts();
      expect(figures.map((text) => text.split("\n").slice(0, 2))).toEqual([
        ["Inferences, gross", "4"],
        ["Valid", "3"],
        ["Organic", "0"],
        ["Floor", "0"],
      ]);
      const reasons = await page.locator("#usage > .body > p.note").allInnerTexts();
      expect(reasons.join(" ")).toMatch(/1 test traffic\. .* 3 free of charge\./);
      expect(await rowsOf(page, "table.active")).toMatchObject([
        { Rank: "1", name: "statlog/credit-default", "Relied on": "1", Valid: "3", Gross: "4", State: "in use" },
      ]);
      expect(await rowsOf(page, "table.idle")).toMatchObject([
        { Rank: "—", name: "wisconsin/breast-cancer", Valid: "0", State: "idle, never used" },
      ]);
      expect(await seen(page.locator("#models .share"))).toBe("1 of 2 models idle");
      expect(await page.locator("#receipts tbody tr").count()).toBe(4);
      expect(await page.locator("time[data-age]").getAttribute("data-age")).toMatch(/now|second|minute/);
    });
  });

  test("verifies a receipt where it stands, and closes the verdict again", async () => {
    const id = await latestReceipt(0);
    await onPage("verified", async (page) => {
      const button = page.locator(`button[data-verify="${id}"]`);
      await button.click();
      const verdict = page.locator("tr.verdict-row .verdict");
      expect(await readVerdict(verdict)).toEqual({
        outcome: "This receipt holds, as far as it was checked: 7 checks not made",
        passed: CHECKS.filter((name) => !UNOPENED.includes(name)),
        failed: [],
        notChecked: UNOPENED,
      });
      expect(await seen(verdict.locator("dl.says"))).toContain("statlog/credit-default");
      expect(await seen(verdict)).toContain("The key of the log came from this same server");
      expect(await button.getAttribute("aria-expanded")).toBe("true");
      await button.click();
      expect(await page.locator("tr.verdict-row").count()).toBe(0);
    });
  });

  test("verifies a receipt that is pasted, by its id and by its address, and says what is none", async () => {
    const id = await latestReceipt(0);
    await onPage("pasted", async (page) => {
      const submit = async (text: string) => {
        await page.locator("#verify-id").fill(text);
        await page.locator("#verify-form button[type=submit]").click();
      };
      for (const text of [id, `  ${network.url}/v1/receipts/${id.toUpperCase()}`]) {
        await submit(text);
        expect((await readVerdict(page.locator("#verify-result .verdict"))).passed).toContain("asked for");
        await submit("a receipt");
        await expectText(page.locator("#verify-result .outcome"), "Nothing was checked");
      }
    });
  });

  test("says so where the network has no such receipt, which the browser notes as a request that failed", async () => {
    const page = await browser.newPage();
    await page.goto(network.url);
    await page.locator("#verify-id").fill("0".repeat(64));
    await page.locator("#verify-form button[type=submit]").click();
    await expectText(page.locator("#verify-result"), `This network has no receipt ${"0".repeat(64)}.`);
    await page.close();
  });

  test("verifies a file of the visitor's own, opened, and finds the byte that was changed in it", async () => {
    await using folder = await temporaryFolder();
    const client = createClient({ url: network.url, apiKey: network.apiKey });
    const model = await client.model("statlog/credit-default");
    const inputs = createInputs(model.forms, utf8(JSON.stringify(creditInput().data)));
    const { receiptId, opening } = await client.infer(model, inputs);
    const bytes = await client.receiptFile(receiptId, opening);
    const [good, bad] = ["good.json", "bad.json"].map((name) => join(folder.path, name)) as [string, string];
    await writeFile(good, bytes);
    await writeFile(bad, bytes.with(-40, bytes.at(-40) === 65 ? 66 : 65));
    await onPage("file", async (page) => {
      const verdict = page.locator("#verify-result .verdict");
      await page.locator("#verify-file").setInputFiles(good);
      expect((await readVerdict(verdict)).notChecked).toEqual(["witnesses", ...AFTER]);
      await page.locator("#verify-file").setInputFiles(bad);
      await expectText(page.locator("#verify-result .verdict.broken .outcome"), "Verification failed: wrong opening");
      expect((await readVerdict(verdict)).failed).toEqual(["response opening"]);
    });
  });

  test("does not take its server's word where the visitor has another key of the log", async () => {
    const id = await latestReceipt(0);
    await onPage("another key", async (page) => {
      await page.locator("#verify-vkey").fill(encodeNoteKey(fixedNoteSigner(network.origin, "a thief").key));
      await page.locator("#verify-id").fill(id);
      await page.locator("#verify-form button[type=submit]").click();
      const verdict = page.locator("#verify-result .verdict");
      expect(await readVerdict(verdict)).toMatchObject({ failed: ["checkpoint"] });
      expect(await seen(verdict)).toContain("Checked with the key you gave");
    });
  });

  test("fits a telephone without a sideways scroll", async () => {
    await onPage(
      "telephone",
      async (page) => {
        const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        expect(content).toBeLessThanOrEqual(window ?? 0);
      },
      390,
    );
  });

  /** The id of the receipt that is `place` places from the newest. */
  async function latestReceipt(place: number): Promise<string> {
    const { receipts } = (await (await network.fetch("/v1/receipts")).json()) as {
      receipts: { id: string; status: string }[];
    };
    return receipts.filter(({ status }) => status === "ok")[place]?.id ?? "";
  }
});

/** The rows of a table as a person reads them, by the label of each cell. */
async function rowsOf(page: Page, table: string): Promise<Record<string, string>[]> {
  const rows = await page.locator(`${table} tbody tr`).all();
  return Promise.all(
    rows.map(async (row) => {
      const cells = await row.locator("[data-label]").all();
      const texts = cells.map(async (cell) => [await cell.getAttribute("data-label"), await seen(cell)] as const);
      return { name: await seen(row.locator(".name")), ...Object.fromEntries(await Promise.all(texts)) };
    }),
  );
}

async function readVerdict(verdict: Locator) {
  await verdict.waitFor();
  const names = async (state: string) => {
    const texts = await verdict.locator(`li.check.${state} .check-name`).allInnerTexts();
    return texts.map((text) => text.replace(/ (passed|failed|not checked).*$/s, ""));
  };
  const outcome = await seen(verdict.locator(".outcome"));
  return {
    outcome,
    passed: await names("passed"),
    failed: await names("failed"),
    notChecked: await names("not_checked"),
  };
}

/** What a person sees of it. */
function seen(place: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: how the page lays its text out is part of what is seen.
  return place.innerText();
}

async function expectText(place: Locator, text: string): Promise<void> {
  await place.filter({ hasText: text }).waitFor();
}
