/** Usage over HTTP: the figures of the published log, and what they are figures of. */
import { base64, encodeNote, type Figures, type Note } from "@tallystick/protocol";
import { Hono } from "hono";

export type UsageRoutes = { figures(): Figures; head(): { size: number; root: Uint8Array; note: Note } };

export function usageRoutes({ figures, head }: UsageRoutes): Hono {
  return new Hono().get("/v1/usage", (c) => {
    const { size, root, note } = head();
    const [origin = ""] = note.text.split("\n");
    const all = figures();
    // Without witnesses no figure is final; with them, those of days that have a date.
    const provisional = all.clock === "log";
    return c.json({ ...all, meta: { origin, size, root: base64(root), checkpoint: encodeNote(note), provisional } });
  });
}
