import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startNetwork, type TestNetwork } from "../network.ts";

const FILE = join(import.meta.dirname, "..", "..", "docs", "reference", "openapi.json");

type Operation = {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string }[];
  responses: Record<string, { description?: string; $ref?: string }>;
};
type Document = {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, unknown>; securitySchemes: Record<string, unknown> };
};

let network: TestNetwork;
let document: Document;
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
  network = await startNetwork();
  document = (await (await network.fetch("/openapi.json")).json()) as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
});
afterAll(() => network[Symbol.asyncDispose]());

/** What a pattern of Hono's takes. */
function takes(pattern: string): RegExp {
  const parts = pattern.split(/(:\w+(?:\{[^}]*\}\}?)?|\*)/).map((part) => {
    if (part === "*") return ".+";
    if (!part.startsWith(":")) return part.replace(/[.\\+?^$()[\]{}|]/g, "\\$&");
    return part.includes("{.+}") ? ".+" : "[^/]+";
  });
  return new RegExp(`^${parts.join("")}$`);
}

/** What goes before every handler is nobody's route. */
const routes = () => network.routes().filter(({ path }) => path !== "/*");

test("every route of the server is in the document", () => {
  const missing = routes().filter(
    (route) =>
      !operations.some(
        ({ method, path }) => (route.method === "ALL" || route.method === method) && takes(route.path).test(path),
      ),
  );
  expect(missing).toEqual([]);
});

test("every operation of the document is a route of the server", () => {
  const stray = operations.filter(
    ({ method, path }) =>
      !routes().some((route) => (route.method === "ALL" || route.method === method) && takes(route.path).test(path)),
  );
  expect(stray.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
});

test("the document is OpenAPI 3.1: each parameter of a path is declared, each name and reference leads somewhere", () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
  for (const { path, operation } of operations) {
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    expect(declared.map(({ name }) => name)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    expect(operation.summary).not.toBe("");
    expect(Object.keys(operation.responses)).toContain("default");
  }
  const text = JSON.stringify(document);
  for (const [, name = ""] of text.matchAll(/"\$ref":"#\/components\/responses\/(\w+)"/g))
    expect(Object.keys(document.components.responses)).toContain(name);
  for (const [, name = ""] of text.matchAll(/"security":\[\{"(\w+)"/g))
    expect(Object.keys(document.components.securitySchemes)).toContain(name);
  expect([...text.matchAll(/"\$ref":"/g)].length).toBe(operations.length);
});

test("docs/reference/openapi.json is what the server serves: scripts/make-openapi.ts makes it", async () => {
  expect(JSON.parse(await readFile(FILE, "utf8"))).toEqual(document);
});
