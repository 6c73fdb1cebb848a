/** Usage over HTTP: the figures of the published log, and what they are figures of. */
import { base64, encodeNote, type Figures, type Note } from "@tallystick/protocol";
import { Hono } from "hono";

export type UsageRoutes = { figures(): Figures; published(): { size: number; root: Uint8Array; note: Note } };

export function usageRoutes({ figures, published }: UsageRoutes): Hono {
  return new Hono().get("/v1/usage", (c) => {
    const { size, root, note } = published();
    const [origin = ""] = note.text.split("\n");
    // Until witnesses cosign, no figure is final.
    return c.json({
      ...figures(),
      meta: { origin, size, root: base64(root), checkpoint: encodeNote(note), provisional: true },
    });
  });
}
