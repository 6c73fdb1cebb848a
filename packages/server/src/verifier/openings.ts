/** Openings as nodes give them. */
import { LOT_OPENING_SIZE_BYTES, type LotOpening, Malformed, parseLotOpening } from "@tallystick/protocol";

/** What a node gave; undefined where it is no opening. */
export function readOpening(bytes: Uint8Array): LotOpening | undefined {
  if (bytes.length > LOT_OPENING_SIZE_BYTES) return undefined;
  try {
    return parseLotOpening(bytes);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
