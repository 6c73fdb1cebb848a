import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { FUNCTIONS } from "./functions.ts";

/** Looked at and refused: they tell of the engine, its settings, its catalog or its machine, do something to it, or are its own. */
const REFUSED = [
  /^(__internal|pg|duckdb|icu_collate|inet|st)_/,
  /^json_(de)?serialize_/,
  /^has_\w+_privilege$/,
  /^\w+_description$/,
  /^current_(catalog|connection_id|database|query|query_id|role|schema|schemas|setting|transaction_id|user)$/,
  /^(error|sleep_ms|write_log|setseed|stats|vector_type|version|user|session_user|getvariable|get_block_size)$/,
  /^(format_type|format_pg_type|map_to_pg_oid|in_search_path|nextval|currval|txid_current|parse_duckdb_log_message)$/,
  /^(can_cast_implicitly|cast_to_type|get_type|make_type|replace_type|remap_struct|unpivot_list|combine|finalize)$/,
  /^(array_to_string_comma_default|constant_or_null|create_sort_key|icu_sort_key|is_histogram_other_bin)$/,
  /^(normalized_interval|sum_no_overflow|timetz_byte_comparable|variant_(bytes_to_variant|normalize|to_parquet_variant))$/,
];

test("every function that the engine has is allowed or was refused on purpose, and none is both", async () => {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const sql = `SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type NOT IN ('pragma', 'table', 'table_macro')`;
  const names = (await connection.runAndReadAll(sql)).getRowsJson().map(([name]) => String(name));
  connection.closeSync();
  instance.closeSync();
  expect(names.length).toBeGreaterThan(700);
  const isRefused = (name: string) => REFUSED.some((pattern) => pattern.test(name));
  expect(names.filter((name) => FUNCTIONS.has(name) === isRefused(name))).toEqual([]);
  const inFrom = ["unnest", "json_each", "json_tree"];
  expect([...FUNCTIONS].filter((name) => !names.includes(name) && !inFrom.includes(name))).toEqual([]);
});
