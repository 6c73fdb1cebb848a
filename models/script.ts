/** Whether a module is what was started, rather than imported. */
import { realpathSync } from "node:fs";

export function isScript(module: ImportMeta): boolean {
  const [, started] = process.argv;
  return started !== undefined && realpathSync(started) === module.filename;
}
