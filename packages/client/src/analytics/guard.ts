/** Which questions are asked at all: one SELECT over the tables that there are, as the engine's own parser reads it. */
import { fieldOf } from "../http.ts";
import { AnalyticsError } from "./errors.ts";
import { FUNCTIONS, ROW_MAKERS } from "./functions.ts";

/** A question's text. */
export const QUERY_LENGTH = 16_384;
/** What the engine calls its own views: under a name of theirs a question could reach them where that name is not its own. */
const RESERVED = /^(duckdb|pg|sqlite|pragma|information)_/;

/** Throws where `serialized`, which is what `json_serialize_sql` gives of `sql`, is more than one SELECT over `tables`. */
export function checkQuery(sql: string, serialized: string, tables: readonly string[]): void {
  const refuse = (why: string): never => {
    throw new AnalyticsError("refused", `a query is one select over ${tables.join(", ")}: ${why}`);
  };
  if (sql.length > QUERY_LENGTH) refuse(`it has at most ${QUERY_LENGTH} characters`);
  let tree: unknown;
  try {
    tree = JSON.parse(serialized);
  } catch {
    refuse("a number in it is larger than any type holds"); // The engine spells it as no JSON does: inf.
  }
  const error = fieldOf(tree, "error_message");
  if (error !== undefined) refuse(fieldOf(tree, "error_type") === "parser" ? String(error) : "this is something else");
  const statements = fieldOf(tree, "statements");
  if (!Array.isArray(statements) || statements.length !== 1) refuse("this is not one");
  const nodes = [...nodesOf(statements)];
  const named = nodes.flatMap((node) => fieldOf(fieldOf(node, "cte_map"), "map"));
  const names = new Set(
    [...tables, ...named.map((cte) => String(fieldOf(cte, "key")))].map((name) => name.toLowerCase()),
  );
  const reserved = [...names].find((name) => RESERVED.test(name));
  if (reserved !== undefined) refuse(`it cannot call anything ${reserved}`);
  for (const node of nodes) {
    const stray = findStray(node, names);
    if (stray !== undefined) refuse(`it cannot use ${stray}`);
  }
}

/** What `node` reaches for that a question may not. */
function findStray(node: unknown, tables: ReadonlySet<string>): string | undefined {
  const type = fieldOf(node, "type");
  const text = (name: string) => String(fieldOf(node, name)).toLowerCase();
  if (type === "TABLE_FUNCTION") {
    const name = String(fieldOf(fieldOf(node, "function"), "function_name")).toLowerCase();
    return ROW_MAKERS.has(name) ? undefined : `${name}()`;
  }
  const called = fieldOf(node, "function_name");
  if (called !== undefined && !FUNCTIONS.has(text("function_name"))) return `${text("function_name")}()`;
  if (type === "SHOW_REF") return "show and describe";
  if (type !== "BASE_TABLE") return undefined;
  const isOurs = fieldOf(node, "schema_name") === "" && tables.has(text("table_name"));
  return isOurs ? undefined : `the table ${String(fieldOf(node, "table_name"))}`;
}

/** Every object in a tree. */
function* nodesOf(tree: unknown): Generator<object> {
  if (typeof tree !== "object" || tree === null) return;
  if (!Array.isArray(tree)) yield tree;
  for (const child of Object.values(tree)) yield* nodesOf(child);
}
