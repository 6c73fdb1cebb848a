/**
 * Makes docs/reference/openapi.json anew, which is what a server answers at `/openapi.json`:
 *
 *     npx tsx --conditions=@tallystick/source scripts/make-openapi.ts && npx biome format --write docs/reference
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ANALYTICS_OPERATIONS } from "../packages/server/src/analytics/openapi.ts";
import { VERSION } from "../packages/server/src/composition.ts";
import { openApiDocument } from "../packages/server/src/openapi/document.ts";
import { OPERATIONS } from "../packages/server/src/openapi/operations.ts";
import { USAGE_OPERATIONS } from "../packages/server/src/usage/openapi.ts";

const document = openApiDocument(VERSION, { Usage: USAGE_OPERATIONS, Analytics: ANALYTICS_OPERATIONS, ...OPERATIONS });
const path = join(import.meta.dirname, "..", "docs", "reference", "openapi.json");
writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
