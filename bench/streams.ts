/** Many streams at once, held open while somebody looks at the memory of who serves them. */
import { connect, type Socket } from "node:net";
import type { Server } from "./process.ts";
import type { Row } from "./ratio.ts";

/** How long all are held before memory is looked at, V8's young generation having grown, and between that and the next look. */
const SETTLE_MS = 20_000;
const HOLD_MS = 30_000;
const OPEN_MS = 60_000;
const GROWTH_MOST_MIB = 32;
const MIB = 1024 * 1024;

/** Opens `count` streams, each answered by an event a second, and holds them. */
export async function holdStreams(server: Server, path: string, body: string, count: number): Promise<Row[]> {
  const before = server.residentBytes();
  const sockets = new Set<Socket>();
  let frames = 0;
  const begun = new Set<Socket>();
  let failed = "";
  const { hostname, port, host } = new URL(server.url);
  const fields = { ...server.headers, host, "content-length": Buffer.byteLength(body) };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  for (let i = 0; i < count; i++) {
    const socket = connect({ host: hostname, port: Number(port) });
    sockets.add(socket);
    socket.write(`POST ${path} HTTP/1.1\r\n${head.join("")}\r\n${body}`);
    socket.on("data", (bytes) => {
      const text = bytes.toString("latin1");
      if (text.startsWith("HTTP/1.1 ") && !text.startsWith("HTTP/1.1 200")) failed = text;
      frames += text.split("data: ").length - 1;
      if (text.includes("data: ")) begun.add(socket);
    });
    for (const event of ["error", "close"]) socket.on(event, () => sockets.delete(socket));
    if (i % 50 === 0) await wait(50);
  }
  for (const until = performance.now() + OPEN_MS; begun.size < count && performance.now() < until; ) await wait(100);
  await wait(SETTLE_MS);
  const settled = server.residentBytes();
  const framesBefore = frames;
  await wait(HOLD_MS);
  const held = server.residentBytes();
  const isHeld = sockets.size === count && begun.size === count && failed === "";
  const perSecond = ((frames - framesBefore) * 1_000) / HOLD_MS;
  for (const socket of sockets) socket.destroy();
  if (!isHeld) throw new Error(`of ${count} streams ${sockets.size} were held: ${failed}`);
  return [
    {
      name: `${count} streams held for ${HOLD_MS / 1_000} s: resident memory grew by`,
      value: (held - settled) / MIB,
      unit: "MiB",
      bound: { atMost: GROWTH_MOST_MIB },
    },
    { name: `${count} streams: resident memory over that of none`, value: (held - before) / MIB, unit: "MiB" },
    { name: `${count} streams of an event a second: events/s`, value: perSecond, unit: "/s" },
  ];
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
