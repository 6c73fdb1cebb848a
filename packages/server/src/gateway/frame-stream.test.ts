import { utf8 } from "@tallystick/protocol";
import { expect, test } from "vitest";
import { createFrameStream } from "./frame-stream.ts";

test("the first frame is with its reader before the next is made", async () => {
  const frames = createFrameStream(() => {});
  const order: string[] = [];
  const read = frames.body
    .getReader()
    .read()
    .then(({ value }) => order.push(`read ${new TextDecoder().decode(value)}`));
  for (const name of ["a", "b"]) {
    order.push(`made ${name}`);
    const pending = frames.sink(utf8(name));
    if (pending instanceof Promise) await pending;
  }
  await read;
  frames.close();
  expect(order).toEqual(["made a", "read a", "made b"]);
});
