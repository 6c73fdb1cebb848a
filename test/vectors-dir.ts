/** Vectors that nobody here wrote, where the machine has them: `TALLYSTICK_VECTORS`, or beside the checkout. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.env.TALLYSTICK_VECTORS ?? join(import.meta.dirname, "../../shared/vectors"));

/** The folder of one set of vectors, or undefined where it is absent. */
export function vectorsOf(set: string): string | undefined {
  const path = join(folder, set);
  return existsSync(path) ? path : undefined;
}
