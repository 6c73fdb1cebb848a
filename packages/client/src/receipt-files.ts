/** Receipt files as a network serves them, waited for until a checkpoint covers them. */
import { hex, parseReceiptFile, type ReceiptFile } from "@tallystick/protocol";
import type { Edges } from "./edges.ts";
import { orUnverified, UnverifiedError } from "./errors.ts";
import type { Http } from "./http.ts";

/** How long to wait for the checkpoint over a fresh entry. */
const COVERED_WITHIN_MS = 10_000;
const POLL_MS = 100;

/** The file of this very receipt: once `isEnough`, else as it is after a while. */
export async function fetchReceiptFile(
  http: Http,
  { nowMs, sleep }: Pick<Edges, "nowMs" | "sleep">,
  receiptId: string,
  isEnough: (file: ReceiptFile) => boolean,
): Promise<ReceiptFile> {
  const started = nowMs();
  for (;;) {
    const bytes = await http.bytes(`/v1/receipts/${receiptId}`);
    const file = orUnverified("the receipt file that the network gave", () => parseReceiptFile(bytes));
    if (hex(file.id) !== receiptId)
      throw new UnverifiedError(`the network gave the receipt ${hex(file.id)}, not ${receiptId}`);
    if (isEnough(file) || nowMs() - started > COVERED_WITHIN_MS) return file;
    await sleep(POLL_MS);
  }
}
