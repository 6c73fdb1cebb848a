/**
 * The adapters of execution's tests, in JavaScript, since a worker imports them as they stand. `rows@1` runs the rows of all
 * calls as one where its options say "stack", gives the number of those calls as its unit count, and does to its worker whatever an
 * input called "trouble" says. `endless@1` begins to write and never comes to a token.
 */
const rows = {
  name: "rows",
  version: 1,
  async run(calls, kit) {
    for (const call of calls) await make(call.find(({ name }) => name === "trouble"));
    const kept = calls.map((call) => call.filter(({ name }) => name !== "trouble"));
    if (!kit.options.stack) {
      const outcomes = [];
      for (const call of kept) outcomes.push({ ok: true, outputs: await kit.run("model.onnx", call), unitCount: 1 });
      return outcomes;
    }
    const counts = kept.map(([x]) => x.shape[0]);
    const all = kept.flatMap(([x]) => [...x.data]);
    const [, ...sizes] = kept[0][0].shape;
    const rowCount = counts.reduce((sum, count) => sum + count, 0);
    const [y] = await kit.run("model.onnx", [
      { ...kept[0][0], shape: [rowCount, ...sizes], data: Uint8Array.from(all) },
    ]);
    const rowBytes = y.data.length / rowCount;
    let at = 0;
    return counts.map((count) => {
      const data = y.data.slice(at, at + count * rowBytes);
      at += data.length;
      return { ok: true, outputs: [{ ...y, shape: [count, ...y.shape.slice(1)], data }], unitCount: calls.length };
    });
  },
};

async function make(trouble) {
  const kind = trouble && Buffer.from(trouble.data).toString();
  if (kind === "throw") throw new Error("trouble was asked for");
  if (kind === "spin") for (;;);
  if (kind === "exit") process.exit(3);
  if (kind === "kill") process.kill(process.pid, "SIGKILL");
  if (kind === "hoard") for (const hoard = []; ; ) hoard.push(new Array(1000).fill(hoard.length));
}

const strict = {
  name: "strict",
  version: 1,
  run: async (calls) => calls.map(() => ({ ok: false, message: "nothing is good enough for this adapter" })),
};

const endless = {
  name: "endless",
  version: 1,
  run: async () => [],
  async *generate() {
    yield [];
    for (;;);
  },
};

export const ADAPTERS = new Map(
  [rows, strict, endless].map((adapter) => [`${adapter.name}@${adapter.version}`, adapter]),
);
