/** Generation end to end: the language model that ships, in judge workers. */
import { join } from "node:path";
import { floatTensor, sha256 } from "@tallystick/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { logisticGraph, modelFile, revisionOf, swellingGraph } from "../../../../test/graphs.ts";
import { readModelSource } from "../hub/source.ts";
import { type GenerationDelta, type GenerationEnd, type GenerationRequest, generationFault } from "./generation.ts";
import { type ExecutionOptions, type ExecutionPool, openExecution } from "./pool.ts";

const { manifest, manifestBytes, files } = await readModelSource(
  join(import.meta.dirname, "../../../../models/state-of-the-union"),
);
const model = { digest: sha256(manifestBytes), manifest, files };

const TENSORS = { name: "tensors", version: 1, options: "{}" };

let pool: ExecutionPool;
let logged: Record<string, unknown>[];
afterEach(() => pool[Symbol.asyncDispose]());

async function open(options: Partial<ExecutionOptions> = {}): Promise<void> {
  logged = [];
  const log = (message: string, details: object) => void logged.push({ message, ...details });
  pool = await openExecution({ judgeWorkerCount: 1, log, ...options });
  if (options.adapters === undefined) await pool.load(model);
}

function asking(text: string, more: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    prompt: { kind: "text", text },
    maxTokens: 24,
    temperature: 1,
    topP: 1,
    seed: 7,
    stop: [],
    choiceCount: 1,
    topLogprobs: undefined,
    frequencyPenalty: 0,
    presencePenalty: 0,
    echo: false,
    ...more,
  };
}

type Written = { end: GenerationEnd; deltas: GenerationDelta[]; texts: string[] };

/** All that comes of a generation; `onDelta` may act in the middle of it. */
async function write(
  request: GenerationRequest,
  options: { deadlineMs?: number; signal?: AbortSignal; onDelta?: (count: number) => void } = {},
): Promise<Written> {
  const deltas: GenerationDelta[] = [];
  const end = await pool.generate(model.digest, request, {
    deadlineMs: options.deadlineMs ?? 60_000,
    signal: options.signal,
    onDelta(delta) {
      deltas.push(delta);
      options.onDelta?.(deltas.length);
    },
  });
  const texts: string[] = [];
  for (const { index, text } of deltas) texts[index] = (texts[index] ?? "") + text;
  return { end, deltas, texts };
}

const textOf = ({ texts }: Written) => texts[0] ?? "";

describe("what is written", () => {
  test("comes in pieces, and says how many tokens it took", async () => {
    await open();
    const { end, deltas } = await write(asking("The state of our Union"));
    expect(end).toEqual({
      kind: "answered",
      choices: [{ index: 0, finishReason: "length", tokens: expect.objectContaining({ length: 24 }) }],
      promptTokens: 6,
      completionTokens: 24,
    });
    expect(deltas.length).toBeGreaterThan(12);
  });

  test("is the same for the same seed, in another worker too, and another for another", async () => {
    await open();
    const first = textOf(await write(asking("My fellow citizens")));
    expect(textOf(await write(asking("My fellow citizens")))).toBe(first);
    expect(textOf(await write(asking("My fellow citizens", { seed: 8 })))).not.toBe(first);
    await pool[Symbol.asyncDispose]();
    await open();
    expect(textOf(await write(asking("My fellow citizens")))).toBe(first);
  });

  test("a chat is answered, and what a caller writes is never read as a control token", async () => {
    await open();
    const chat = (content: string): GenerationRequest["prompt"] => ({
      kind: "chat",
      messages: [{ role: "user", content }],
    });
    const { end } = await write(asking("", { prompt: chat("Peace."), maxTokens: 4 }));
    expect(end).toMatchObject({ kind: "answered", completionTokens: 4 });
    const plain = await write(asking("", { prompt: chat("</s>"), maxTokens: 1 }));
    // Three control tokens of the template, and the four letters.
    expect(plain.end).toMatchObject({ promptTokens: 3 + 4 });
  });

  test("as many choices as were asked for, each its own, the first as if it were alone", async () => {
    await open();
    const alone = textOf(await write(asking("We must", { maxTokens: 12 })));
    const { end, texts } = await write(asking("We must", { maxTokens: 12, choiceCount: 3 }));
    expect(texts).toHaveLength(3);
    expect(texts[0]).toBe(alone);
    expect(new Set(texts).size).toBe(3);
    expect(end).toMatchObject({ promptTokens: 3, completionTokens: 36 });
  });

  test("at temperature 0 all choices agree, and a penalty changes what comes", async () => {
    await open();
    const greedy = { temperature: 0, maxTokens: 40 };
    const { texts } = await write(asking("The United States", { ...greedy, choiceCount: 2 }));
    expect(texts[0]).toBe(texts[1]);
    const penalised = await write(asking("The United States", { ...greedy, frequencyPenalty: 2 }));
    expect(textOf(penalised)).not.toBe(texts[0]);
  });

  test("the prompt comes first where it is asked for, with no token more if none is wanted", async () => {
    await open();
    const { end, texts } = await write(asking("The Congress", { echo: true, maxTokens: 0 }));
    expect(texts).toEqual(["The Congress"]);
    expect(end).toMatchObject({ completionTokens: 0, choices: [{ finishReason: "length" }] });
    const more = textOf(await write(asking("The Congress", { echo: true })));
    expect(more).toBe(`The Congress${textOf(await write(asking("The Congress")))}`);
  });

  test("each token says how likely it was, and what else was", async () => {
    await open();
    const written = await write(asking("The people of the", { topLogprobs: 20 }));
    const tokens = written.deltas.flatMap(({ logprobs }) => logprobs);
    expect(tokens).toHaveLength(24);
    expect(tokens.map(({ token }) => token).join("")).toBe(textOf(written));
    for (const { logprob, top } of tokens) {
      expect(logprob).toBeLessThan(0);
      const likely = top.map((one) => one.logprob);
      expect(likely).toEqual(likely.toSorted((a, b) => b - a));
      expect(likely).toHaveLength(20);
      const share = likely.reduce((sum, one) => sum + Math.exp(one), 0);
      expect(share > 0.05 && share <= 1).toBe(true);
    }
    const greedy = await write(asking("The people of the", { temperature: 0, topLogprobs: 1 }));
    for (const { token, logprob, top } of greedy.deltas.flatMap(({ logprobs }) => logprobs))
      expect(top).toMatchObject([{ token, logprob }]);
    expect((await write(asking("x"))).deltas.every(({ logprobs }) => logprobs.length === 0)).toBe(true);
  });

  test("the last passage of an answer ends by itself, within the context", async () => {
    await open();
    const { end, texts } = await write(asking("The", { maxTokens: undefined, temperature: 0.5 }));
    expect(end).toMatchObject({ kind: "answered" });
    if (end.kind !== "answered") return;
    const [{ finishReason } = {}] = end.choices;
    const total = end.promptTokens + end.completionTokens;
    expect(finishReason === "stop" ? total <= 512 : total === 512).toBe(true);
    expect(texts[0]).not.toContain("</s>");
  });
});

describe("stop strings", () => {
  test("end the text before them, though a border of tokens runs through them", async () => {
    await open();
    const request = asking("The Government of the United States", { topLogprobs: 0 });
    const written = await write(request);
    const whole = textOf(written);
    const tokens = written.deltas.flatMap(({ logprobs }) => logprobs);
    // The last letter of each token with the first of the next: each such pair lies across a border.
    let checked = 0;
    for (const [i, { token }] of tokens.slice(0, -1).entries()) {
      const stop = token.slice(-2) + (tokens[i + 1]?.token.slice(0, 2) ?? "");
      if (i % 4 !== 0) continue;
      const { end, deltas, texts } = await write({ ...request, stop: ["never", stop] });
      expect(textOf({ end, deltas, texts })).toBe(whole.slice(0, whole.indexOf(stop)));
      expect(end).toMatchObject({ choices: [{ finishReason: "stop" }] });
      checked++;
    }
    expect(checked).toBeGreaterThan(3);
  });

  test("that do not come change nothing", async () => {
    await open();
    const { end, texts } = await write(asking("We must", { stop: ["\n", "§", "the the the"] }));
    expect(texts[0]).toBe(textOf(await write(asking("We must"))));
    expect(end).toMatchObject({ choices: [{ finishReason: "length" }] });
  });
});

describe("bounds", () => {
  test("a prompt that leaves no room for an answer is refused in words", async () => {
    await open();
    const { end } = await write(asking("peace ".repeat(600)));
    expect(end).toEqual({
      kind: "refused",
      message: expect.stringMatching(/the prompt is \d+ tokens, and the model reads 512/),
    });
    expect((await write(asking("x".repeat(1_000_000)))).end).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("longer than the 512 tokens"),
    });
  });

  test.each<[Partial<GenerationRequest>, string]>([
    [{ temperature: 3 }, "temperature must be 0 to 2"],
    [{ temperature: Number.NaN }, "temperature"],
    [{ topP: 0 }, "top_p"],
    [{ choiceCount: 9 }, "n must be 1 to 8"],
    [{ topLogprobs: 21 }, "top_logprobs"],
    [{ stop: ["a", "b", "c", "d", "e"] }, "4 strings"],
    [{ stop: [""] }, "1 to 256 bytes"],
    [{ frequencyPenalty: -3 }, "-2 to 2"],
    [{ seed: 2 ** 53 }, "seed"],
    [{ echo: true, topLogprobs: 1 }, "echo and logprobs"],
    [{ prompt: { kind: "chat", messages: [] } }, "messages are missing"],
  ])("%j is refused", (more, message) => {
    expect(generationFault(asking("x", more))).toContain(message);
  });

  test("what is refused is refused before a worker is asked", async () => {
    await open();
    const { end } = await write(asking("x", { choiceCount: 9 }));
    expect(end).toEqual({ kind: "refused", message: "n must be 1 to 8" });
    expect((await write(asking("x", { choiceCount: 8, maxTokens: 1 }))).end).toMatchObject({ completionTokens: 8 });
  });

  test("beyond the calls that may wait, one is told so at once", async () => {
    await open({ limits: { pendingCalls: 2 } });
    const ends = await Promise.all([1, 2, 3].map((seed) => write(asking("We", { seed }))));
    expect(ends.map(({ end }) => end.kind)).toEqual(["answered", "answered", "overloaded"]);
  });

  test("more than a worker has seats for wait, and are all written", async () => {
    await open({ limits: { workerGenerations: 2 } });
    const alone = await Promise.all([1, 2, 3, 4, 5].map((seed) => write(asking("We", { seed, maxTokens: 8 }))));
    for (const [i, { texts }] of alone.entries())
      expect(texts).toEqual((await write(asking("We", { seed: i + 1, maxTokens: 8 }))).texts);
  });
});

describe("company", () => {
  test("two at once take turns, and each is what it is alone", async () => {
    await open();
    const [first, second] = [asking("The Navy"), asking("Our commerce", { seed: 9 })];
    const alone = [textOf(await write(first)), textOf(await write(second))];
    const order: string[] = [];
    const together = await Promise.all([
      write(first, { onDelta: () => order.push("a") }),
      write(second, { onDelta: () => order.push("b") }),
    ]);
    expect(together.map(textOf)).toEqual(alone);
    expect(order.join("")).toMatch(/a.*b.*a/);
  });

  test("calls of another model are answered in the middle of a long text", async () => {
    await open();
    const logistic = revisionOf(modelFile(logisticGraph()), TENSORS);
    await pool.load(logistic);
    const row = floatTensor("x", [1, 30], new Array<number>(30).fill(0.1));
    let running = true;
    let answered = 0;
    const long = write(asking("The", { maxTokens: 300 })).finally(() => {
      running = false;
    });
    while (running && answered < 2) {
      expect(await pool.run(logistic.digest, [row], { deadlineMs: 30_000 })).toMatchObject({ kind: "answered" });
      if (running) answered++;
    }
    expect(answered).toBe(2);
    await long;
  });

  test("one whose worker is ended by another's call begins again, and gives out nothing twice", async () => {
    await open();
    const swelling = revisionOf(modelFile(swellingGraph(200)), TENSORS);
    await pool.load(swelling);
    const request = asking("The Army", { maxTokens: 60 });
    const alone = textOf(await write(request));
    const data = new Uint8Array(BigInt64Array.of(2000n, 2000n).buffer);
    const slow = [floatTensor("x", [1], [0.001]), { name: "shape", datatype: "INT64" as const, shape: [2], data }];
    let hung: Promise<unknown> | undefined;
    const written = await write(request, {
      onDelta: () => (hung ??= pool.run(swelling.digest, slow, { deadlineMs: 300 })),
    });
    expect(await hung).toMatchObject({ kind: "failed", reason: "deadline" });
    expect(textOf(written)).toBe(alone);
    expect(written.end).toMatchObject({ kind: "answered", completionTokens: 60 });
    expect(logged.map(({ message }) => message)).toContain("a running call is given up; its worker ends");
  });
});

describe("an end before the end", () => {
  test("a signal stops a generation between tokens, and its worker goes on with the next", async () => {
    await open({ limits: { workerGenerations: 1 } });
    const stopping = new AbortController();
    const { end, deltas } = await write(asking("The", { maxTokens: 400 }), {
      signal: stopping.signal,
      onDelta: (count) => count === 5 && stopping.abort(),
    });
    expect([end, deltas.length]).toEqual([{ kind: "cancelled" }, 5]);
    expect((await write(asking("The"))).end.kind).toBe("answered");
    expect((await write(asking("The"), { signal: stopping.signal })).end).toEqual({ kind: "cancelled" });
    expect(logged).toEqual([]);
  });

  test("a deadline ends one, and the next is answered by the same worker", async () => {
    await open({ limits: { workerGenerations: 1 } });
    const { end } = await write(asking("The", { maxTokens: 500, choiceCount: 8 }), { deadlineMs: 50 });
    expect(end).toMatchObject({ kind: "failed", reason: "deadline", message: expect.stringContaining("50 ms") });
    expect((await write(asking("The"))).end.kind).toBe("answered");
    expect(logged).toEqual([]);
  });

  test("a pass of a model that does not end costs its worker, some time after the deadline", async () => {
    await open({ adapters: new URL("../../../../test/adapters.mjs", import.meta.url), limits: { graceMs: 100 } });
    const endless = revisionOf(modelFile(logisticGraph()), { name: "endless", version: 1, options: "{}" });
    const rows = revisionOf(modelFile(logisticGraph()), { name: "rows", version: 1, options: "{}" });
    await pool.load(endless);
    await pool.load(rows);
    const deltas: string[] = [];
    const onDelta = ({ text }: GenerationDelta) => deltas.push(text);
    const end = await pool.generate(endless.digest, asking("x"), { deadlineMs: 200, onDelta });
    expect(end).toMatchObject({ kind: "failed", reason: "deadline" });
    const row = floatTensor("x", [1, 30], new Array<number>(30).fill(0.1));
    expect((await pool.run(rows.digest, [row], { deadlineMs: 30_000 })).kind).toBe("answered");
    expect(logged).toMatchObject([
      { message: "a generation is given up in a pass that does not end; its worker ends" },
    ]);
    const none = pool.generate(rows.digest, asking("x"), { deadlineMs: 30_000, onDelta });
    expect(await none).toMatchObject({ kind: "failed", reason: "engine", message: "rows@1 writes no text" });
  });

  test("a revision that is unloaded, or a pool that closes, ends what is under way", async () => {
    await open();
    const unloaded = write(asking("The", { maxTokens: 400 }), { onDelta: () => void pool.unload(model.digest) });
    expect((await unloaded).end).toMatchObject({ kind: "failed", message: "this revision was unloaded" });
    await pool.load(model);
    const closed = write(asking("The", { maxTokens: 400 }), { onDelta: () => void pool[Symbol.asyncDispose]() });
    expect((await closed).end).toMatchObject({ kind: "failed", reason: "crashed" });
    await expect(write(asking("The"))).rejects.toThrow("closed");
  });
});
