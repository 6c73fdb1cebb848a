import {
  findTallystickError,
  IncompleteLogError,
  RefusedError,
  TallystickError,
  UnreachableError,
  UnverifiedError,
  WrongTileError,
} from "@tallystick/client";
import { expect, test } from "vitest";
import { STATUS } from "../../packages/server/src/platform/errors.ts";

const ERRORS = [
  new RefusedError(404, "not_found", "no model"),
  new UnreachableError("no answer"),
  new UnverifiedError("another answer", { receiptId: "ab" }),
  new IncompleteLogError("tile/0"),
  new WrongTileError("tile/0", "is wrong", []),
];

test.each(ERRORS)("$name says its code, what to do, and whether sending again is safe", (error) => {
  expect(error).toBeInstanceOf(TallystickError);
  expect(error.code).toMatch(/^[a-z_]+$/);
  expect(error.remedy).toMatch(/^[A-Z].*\.$/);
  expect(typeof error.retrySafe).toBe("boolean");
});

test("every code of a network has a remedy of its own, except a fault of the network's", () => {
  const unknown = new RefusedError(500, "nonsense", "").remedy;
  const without = Object.entries(STATUS).filter(
    ([code, status]) => new RefusedError(status, code, "").remedy === unknown,
  );
  expect(without.map(([code]) => code).sort()).toEqual(["internal", "method_not_allowed", "unsupported_media_type"]);
});

test("what may have been served is not safe to send again", () => {
  const isSafe = (status: number, code: string) => new RefusedError(status, code, "").retrySafe;
  expect([isSafe(409, "conflict"), isSafe(500, "internal"), isSafe(502, "unknown")]).toEqual([false, false, false]);
  expect([isSafe(429, "rate_limited"), isSafe(502, "node_failed"), isSafe(404, "unknown")]).toEqual([true, true, true]);
  expect(new UnverifiedError("").retrySafe).toBe(false);
});

test("the error is found behind those of other SDKs, and a circle of causes ends", () => {
  const own = new UnverifiedError("another answer");
  expect(findTallystickError(new Error("a", { cause: new Error("b", { cause: own }) }))).toBe(own);
  const circle = new Error("a");
  circle.cause = new Error("b", { cause: circle });
  expect(findTallystickError(circle)).toBeUndefined();
  expect(findTallystickError("no error")).toBeUndefined();
});
