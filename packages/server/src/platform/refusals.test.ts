import { expect, test } from "vitest";
import { ServiceError } from "./errors.ts";
import { type RefusalShape, refusalShapeOf, writeRefusal } from "./refusals.ts";

const PATHS: Record<RefusalShape, string[]> = {
  openai: [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses/ab",
    "/v1/models",
    "/v1/models/a/b",
  ],
  oip: ["/v2", "/v2/models/a/b/infer"],
  problem: [
    "/",
    "/v1/usage",
    "/v1/modelsx",
    "/v1/models/a/b/badge.svg",
    "/v1/infer",
    "/v1/log",
    "/v1/log/checkpoints/1",
    "/v22",
    "/tile/0/000",
    "/checkpoints/checkpoint",
    "/witnesses/one/add-checkpoint",
  ],
};

test("a refusal has the shape of whoever the path is of, and is a problem where it is of nobody else", () => {
  for (const [shape, paths] of Object.entries(PATHS))
    for (const path of paths) expect(refusalShapeOf(path), path).toBe(shape);
});

test("each shape says the code's sentence where its clients look for it", () => {
  const refusal = new ServiceError("not_found", "no model a/b", { receiptId: "ab" });
  const written = (shape: RefusalShape) => writeRefusal(refusal, shape);
  expect(JSON.parse(written("openai").body)).toEqual({
    error: { message: "no model a/b", type: "invalid_request_error", param: null, code: "not_found", receiptId: "ab" },
  });
  expect(JSON.parse(written("oip").body)).toEqual({ error: "no model a/b", code: "not_found", receipt_id: "ab" });
  expect(written("problem").contentType).toBe("application/problem+json");
});
