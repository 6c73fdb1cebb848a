/** A document in its canonical spelling (RFC 8785), of which a part can be read without the rest. */
import type { Dimension, Period } from "./metric.ts";

/** What every group begins with. Within a text a quote is escaped, and no row or model has a text by that name: nothing else looks like it. */
const GROUP = '{"by":"';

/** The texts of the groups of one period by one dimension, in the canonical text of a document. */
export function groupTexts(text: string, per: Period, by: Dimension): string[] {
  const found: string[] = [];
  const head = `${GROUP}${by}","per":"${per}",`;
  for (let at = text.indexOf(head); at >= 0; ) {
    const next = text.indexOf(`,${GROUP}`, at + 1);
    const end = next >= 0 ? next : text.lastIndexOf('],"metrics":"');
    found.push(text.slice(at, end));
    at = text.indexOf(head, end);
  }
  return found;
}
