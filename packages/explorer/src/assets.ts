/** The files under `/assets/` that the page links to: the built islands, the stylesheet, the icon. */
import { readFileSync } from "node:fs";

const CONTENT_TYPES = new Map([
  ["/assets/page.css", "text/css; charset=utf-8"],
  ["/assets/page.js", "text/javascript; charset=utf-8"],
  ["/assets/verify.js", "text/javascript; charset=utf-8"],
  ["/assets/icon.svg", "image/svg+xml"],
]);

/** `src` and `dist` are neighbours, so this leads to the built files from either. */
const BUILT = new URL("../dist", import.meta.url);

export type Asset = { contentType: string; body: Uint8Array };

const read = new Map<string, Asset>();

/** The file that the page means by `path`, or undefined where it means none. Read once. */
export function asset(path: string): Asset | undefined {
  const contentType = CONTENT_TYPES.get(path);
  if (contentType === undefined) return undefined;
  const known = read.get(path) ?? { contentType, body: readBuilt(path) };
  read.set(path, known);
  return known;
}

function readBuilt(path: string): Uint8Array {
  try {
    return readFileSync(new URL(BUILT.href + path));
  } catch (cause) {
    throw new Error(`${path} is not built: run "npm run build"`, { cause });
  }
}
