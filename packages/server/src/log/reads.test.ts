import { gunzipSync } from "node:zlib";
import { type Tile, tilePath } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { Answer, acceptsGzip, createReads } from "./reads.ts";

/** A log in memory, of tiles that are given, which counts how often each is read. */
function logOf(tiles: Record<string, Uint8Array>) {
  const read: string[] = [];
  let note = { text: "log.example\n0\n\n", signatures: [] };
  const findTile = async (tile: Tile) => {
    read.push(tilePath(tile));
    return tiles[tilePath(tile)];
  };
  const publish = (size: number) => {
    note = { text: `log.example\n${size}\n\n`, signatures: [] };
  };
  return { read, tiles, findTile, publish, published: () => ({ note }) };
}

const bytesOf = (size: number, byte = 7) => new Uint8Array(size).fill(byte);

test("a full tile is read once, whoever asks at once and later", async () => {
  const log = logOf({ "tile/0/000": bytesOf(8192) });
  const reads = createReads(log);
  expect(reads.peek("/tile/0/000", false)).toBeUndefined();
  const answers = await Promise.all([1, 2, 3].map(() => reads.find("/tile/0/000", false)));
  log.publish(1);
  expect(await reads.find("/tile/0/000", true)).toBe(answers[0]);
  expect(reads.peek("/tile/0/000", false)).toBe(answers[2]);
  expect(answers[0]?.body).toEqual(Buffer.from(bytesOf(8192)));
  expect(log.read).toEqual(["tile/0/000"]);
});

test("a partial tile is kept until the next checkpoint, and not at all where one came while it was read", async () => {
  const log = logOf({ "tile/0/000.p/3": bytesOf(96) });
  const path = "/tile/0/000.p/3";
  const reads = createReads(log);
  await reads.find(path, false);
  expect(reads.peek(path, false)?.body.length).toBe(96);
  log.publish(4);
  expect(reads.peek(path, false)).toBeUndefined();

  const slow = reads.find(path, false);
  log.publish(5);
  reads.peek("/checkpoint", false);
  expect((await slow)?.body.length).toBe(96);
  expect(reads.peek(path, false)).toBeUndefined();

  delete log.tiles["tile/0/000.p/3"];
  expect(await reads.find(path, false)).toBeUndefined();
});

test("the checkpoint is the published one, and made once for each", async () => {
  const log = logOf({});
  const reads = createReads(log);
  const first = reads.peek("/checkpoint", false);
  expect(reads.peek("/checkpoint", true)).toBe(first);
  log.publish(9);
  expect(String(reads.peek("/checkpoint", false)?.body)).toContain("\n9\n");
});

test("what is kept stays under its limit, and what is asked for again stays longest", async () => {
  const tiles = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [tilePath({ level: 0, index, width: 256 }), bytesOf(8192)]),
  );
  const reads = createReads({ ...logOf(tiles), keptBytes: 100_000 });
  const kept = () => Object.keys(tiles).filter((path) => reads.peek(`/${path}`, false) !== undefined);
  for (const path of Object.keys(tiles)) {
    await reads.find(`/${path}`, false);
    expect(reads.peek("/tile/0/000", false)).toBeDefined();
  }
  expect(kept().length * 8192).toBeLessThan(100_000);
  expect(kept().length * 8192).toBeGreaterThan(80_000);
  // Every one was used just now, by the line above: the next still finds room.
  await reads.find("/tile/0/100", false);
  expect(reads.peek("/tile/0/100", false)).toBeDefined();
  expect(kept().length * 8192).toBeLessThan(100_000);
});

test("a bundle of more than a mebibyte is not kept", async () => {
  const log = logOf({ "tile/entries/000": bytesOf(2 ** 20), "tile/entries/001": bytesOf(2 ** 19) });
  const reads = createReads(log);
  expect((await reads.find("/tile/entries/000", false))?.body.length).toBe(2 ** 20);
  await reads.find("/tile/entries/001", false);
  expect(reads.peek("/tile/entries/000", false)).toBeUndefined();
  expect(reads.peek("/tile/entries/001", false)).toBeDefined();
});

test("a bundle is compressed for who accepts it, one at a time; a tile of hashes never", async () => {
  const paths = ["tile/entries/000", "tile/entries/001", "tile/0/000"];
  const reads = createReads(logOf(Object.fromEntries(paths.map((path) => [path, bytesOf(8192)]))));
  const [first, second, tile] = await Promise.all(paths.map((path) => reads.find(`/${path}`, true)));
  expect(first?.headers).toMatchObject({ "content-encoding": "gzip", vary: "accept-encoding" });
  expect(gunzipSync(first?.body ?? "")).toEqual(Buffer.from(bytesOf(8192)));
  expect(second?.headers).toMatchObject({ "content-length": "8192", vary: "accept-encoding" });
  expect(second?.headers).not.toHaveProperty("content-encoding");
  expect(tile?.headers).not.toHaveProperty("vary");
  expect(reads.peek("/tile/entries/001", true)).toBeUndefined();
  expect((await reads.find("/tile/entries/001", true))?.headers).toHaveProperty("content-encoding");
  expect(reads.peek("/tile/entries/000", true)).toBe(first);
  expect((await reads.find("/tile/entries/000", false))?.headers).not.toHaveProperty("content-encoding");
  for (const path of ["/gzip /tile/entries/000", "/tile/entries/000 gzip"])
    expect(await reads.find(path, false)).toBeUndefined();
});

test("an answer carries the second that it is sent in, and what was sent before stays as it was", () => {
  const answer = new Answer({ "content-type": "text/plain" }, Buffer.from("hello"));
  const first = answer.bytesAt(1_790_000_000);
  const copy = Buffer.from(first);
  expect(answer.bytesAt(1_790_000_000)).toBe(first);
  expect(String(answer.bytesAt(1_790_000_001))).toBe(
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\ndate: Mon, 21 Sep 2026 14:13:21 GMT\r\n\r\nhello",
  );
  expect(first).toEqual(copy);
  expect(String(answer.body)).toBe("hello");
});

test("gzip is accepted where Accept-Encoding names it and gives it weight", () => {
  for (const header of ["gzip", "GZIP", "br, gzip", "deflate;q=0.5,gzip;q=0.1, br", "gzip;q=1", "gzip ; q=0.001"])
    expect(acceptsGzip(header), header).toBe(true);
  for (const header of [
    undefined,
    "",
    "br",
    "identity",
    "*",
    "x-gzip",
    "gzipped",
    "gzip;q=0",
    "gzip; q=0.000",
    "gzip;q=x",
  ])
    expect(acceptsGzip(header), header).toBe(false);
});
