/** Published figures beside recomputed ones. */
import { fieldOf } from "../http.ts";

/** How many entries published figures say that they are of. */
export function sizeOf(published: unknown): number | undefined {
  const size = fieldOf(published, "size");
  return Number.isSafeInteger(size) ? Number(size) : undefined;
}

/** The paths at which `published` differs from the recomputed figures. What is only published (`meta`) is no figure. */
export function differencesOf(recomputed: unknown, published: unknown): string[] {
  return differencesAt("", recomputed, published);
}

function differencesAt(path: string, recomputed: unknown, published: unknown): string[] {
  if (Object.is(recomputed, published)) return [];
  if (!isRecord(recomputed) || !isRecord(published) || Array.isArray(recomputed) !== Array.isArray(published))
    return [`${path || "usage"}: published ${JSON.stringify(published)}, recomputed ${JSON.stringify(recomputed)}`];
  const keys = new Set([...Object.keys(recomputed), ...Object.keys(published)]);
  if (path === "") keys.delete("meta");
  return [...keys].flatMap((key) =>
    differencesAt(path === "" ? key : `${path}.${key}`, fieldOf(recomputed, key), fieldOf(published, key)),
  );
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
