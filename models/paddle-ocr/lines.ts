/** What the images here say, line by line as the detector cuts them, and how far a reading is from it. */

/** A piece of text and a point inside it, in pixels. */
export type Piece = { text: string; x: number; y: number };

/** example.png */
export const INVOICE: Piece[] = [
  { text: "Harbour Tools Ltd", x: 210, y: 54 },
  { text: "Invoice 2024-0317", x: 582, y: 54 },
  { text: "Bill to: North Quay Boats", x: 164, y: 113 },
  { text: "Date: 17 March 2024", x: 585, y: 113 },
  { text: "Item", x: 68, y: 192 },
  { text: "Quantity", x: 434, y: 192 },
  { text: "Price", x: 591, y: 192 },
  { text: "Brass cleat", x: 100, y: 248 },
  { text: "12", x: 394, y: 248 },
  { text: "84.00", x: 591, y: 248 },
  { text: "Nylon rope, 50 m", x: 134, y: 292 },
  { text: "4", x: 387, y: 292 },
  { text: "196.50", x: 598, y: 292 },
  { text: "Deck varnish", x: 111, y: 336 },
  { text: "7", x: 387, y: 336 },
  { text: "104.00", x: 598, y: 336 },
  { text: "Total", x: 415, y: 403 },
  { text: "384.50 EUR", x: 636, y: 403 },
  { text: "Payment is due within 30 days.", x: 180, y: 444 },
];

/** sign.png */
export const SIGN = [
  "NORTH QUAY",
  "Open daily from 8:30 to 17:45",
  "Closed on public holidays",
  "Telephone +44 20 7946 0123",
];

/** receipt.jpg, which is tilted, blurred and noisy */
export const RECEIPT = [
  "CORNER GROCERY",
  "12 Mill Lane, Bristol",
  "2x Oat milk 1L 3.80",
  "1x Rye bread 2.45",
  "6x Free range egg 1.95",
  "Subtotal 8.20",
  "VAT 20% 0.39",
  "TOTAL GBP 8.59",
  "Card ending 4417",
  "Thank you for your visit",
];

/** How many characters must be put in, taken out or changed to make one text of the other (Levenshtein, 1966). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
