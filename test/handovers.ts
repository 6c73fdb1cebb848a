/** Handovers between the keys of a log, as its holder signs them or as somebody forges them. */
import { encodeHandover, type Handover, handoverText, parseHandover } from "@tallystick/protocol";
import type { NoteSigner } from "./fixed-keys.ts";

/** A handover from one key to another, which both sign unless `signers` are others. */
export function handOver(from: NoteSigner, to: NoteSigner, size: number, signers: NoteSigner[] = [from, to]): Handover {
  const says = { from: from.key, to: to.key, size };
  const text = handoverText(says);
  const handover = { ...says, note: { text, signatures: signers.map(({ sign }) => sign(text)) } };
  return parseHandover(encodeHandover(handover));
}
