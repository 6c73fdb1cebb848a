import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hex, sha256, verifyReceiptFile } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { creditInput, startNetwork, type TestNetwork } from "../network.ts";
import { CREDIT, changeModel } from "./refusals.ts";

const change = (network: TestNetwork, changes: object) => changeModel(network.models, "credit-default", changes);

type Described = {
  id: string;
  tallystick: { revision: string; version: string; price: string; state: string };
  manifest?: { artifacts: { path: string; sha256: string }[] };
};

async function listed(network: TestNetwork): Promise<Described[]> {
  return ((await (await network.fetch("/v1/models")).json()) as { data: Described[] }).data;
}

test("a model's artifacts are served by their digests, and hash to them", async () => {
  await using network = await startNetwork({ models: ["credit-default"] });
  const { manifest } = (await (await network.fetch(`/v1/models/${CREDIT}`)).json()) as Described;
  expect(manifest?.artifacts.map(({ path }) => path)).toEqual([
    "card.md",
    "circuit.json",
    "example.json",
    "model.onnx",
  ]);
  for (const { path, sha256: digest } of manifest?.artifacts ?? []) {
    const bytes = new Uint8Array(await (await network.fetch(`/v1/artifacts/${digest}`)).arrayBuffer());
    expect(hex(sha256(bytes))).toBe(digest);
    expect(bytes).toEqual(new Uint8Array(await readFile(join(network.models, "credit-default", path))));
  }
});

test("a model that is changed is another revision beside the first: a name means the newest, a version or digest means its own", async () => {
  await using network = await startNetwork({ models: ["credit-default"] });
  const [first] = await listed(network);
  await network.restart(() => change(network, { version: "1.1.1", price: "7" }));
  expect((await listed(network)).map(({ tallystick: { version, price } }) => [version, price])).toEqual([
    ["1.1.0", "0"],
    ["1.1.1", "7"],
  ]);
  const named = async (suffix: string) =>
    ((await (await network.fetch(`/v1/models/${CREDIT}${suffix}`)).json()) as Described).tallystick.version;
  expect(await named("")).toBe("1.1.1");
  expect(await named("?version=1.1.0")).toBe("1.1.0");
  expect(await named(`?version=${first?.tallystick.revision}`)).toBe("1.1.0");
  expect((await network.infer(CREDIT, [creditInput()])).status).toBe(402);
  expect((await network.infer(`${CREDIT}/versions/1.1.0`, [creditInput()])).status).toBe(200);
  await network.restart();
  expect(await listed(network)).toHaveLength(2);
});

test("a revision has one price: another in its model.json keeps the network from starting, and says what to do", async () => {
  await using network = await startNetwork({ models: ["credit-default"] });
  await expect(network.restart(() => change(network, { price: "7" }))).rejects.toThrow(
    /statlog\/credit-default 1\.1\.0 was published at the price 0.*publish 7 under another version/,
  );
  await network.restart(() => change(network, { price: "0" }));
});

test("a yanked model is offered no more, and its receipts still verify", async () => {
  await using network = await startNetwork({ models: ["credit-default"] });
  const { receiptId } = await network.infer(CREDIT, [creditInput()]);
  for (const _ of ["yanked", "yanked already"]) {
    await network.restart(() => change(network, { yanked: true }));
    expect(await listed(network)).toEqual([]);
    for (const path of [`/v2/models/${CREDIT}`, `/v1/models/${CREDIT}`, `/v2/models/${CREDIT}/ready`])
      expect((await network.fetch(path)).status).toBe(410);
    expect((await network.infer(CREDIT, [creditInput()])).status).toBe(410);
  }
  const file = new Uint8Array(await (await network.fetch(`/v1/receipts/${receiptId}`)).arrayBuffer());
  expect((await verifyReceiptFile(file, network.trust)).outcome).toBe("verified");
  const usage = (await (await network.fetch("/v1/usage")).json()) as { totals: object; models: object[] };
  expect(usage).toMatchObject({
    totals: { valid: 1, models: 0 },
    models: [{ name: CREDIT, state: "yanked", valid: 1 }],
  });
  expect(await network.audit()).toMatchObject({ findings: [], differences: [] });
});

test.each(["damaged", "missing"])(
  "an artifact that is %s on disk is never run, and is put right at the next start",
  async (state) => {
    await using network = await startNetwork({ models: ["credit-default"] });
    const { manifest } = (await (await network.fetch(`/v1/models/${CREDIT}`)).json()) as Described;
    const digest = manifest?.artifacts.find(({ path }) => path === "model.onnx")?.sha256 ?? "";
    const path = join(network.data, "artifacts", digest);
    const bytes = await readFile(path);
    await (state === "missing"
      ? rm(path)
      : writeFile(
          path,
          bytes.map((byte, i) => (i === 99 ? byte ^ 1 : byte)),
        ));
    expect(await network.infer(CREDIT, [creditInput()])).toMatchObject({
      status: 500,
      body: {
        error: expect.stringMatching(new RegExp(`an artifact of ${CREDIT} is ${state}`)),
        code: "internal",
      },
    });
    expect((await network.fetch(`/v1/artifacts/${digest}`)).status).toBe(state === "missing" ? 404 : 500);
    await network.restart();
    expect((await network.infer(CREDIT, [creditInput()])).status).toBe(200);
  },
);
