/** A whole log in memory, for tests: its entries, the tree over them, and checkpoints that its own key signs and cosigns. */
import {
  checkpointText,
  consistencyRanges,
  encodeLogProof,
  encodeNote,
  inclusionRanges,
  type LogTrust,
  leafHash,
  type Note,
  type NoteKey,
  rootOf,
  trustInLog,
} from "@tallystick/protocol";
import { fixedNoteSigner, type NoteSigner } from "./fixed-keys.ts";

export const ORIGIN_IN_MEMORY = "log.example/tallystick";

export class LogInMemory {
  readonly entries: Uint8Array[] = [];
  /** Signs from here on; another one where the log has got another key. */
  signer: NoteSigner;

  constructor(origin: string = ORIGIN_IN_MEMORY) {
    this.signer = fixedNoteSigner(origin);
  }

  get key(): NoteKey {
    return this.signer.key;
  }

  get trust(): LogTrust {
    return trustInLog(this.key);
  }

  /** The index that `entry` gets. */
  append(entry: Uint8Array): number {
    return this.entries.push(entry) - 1;
  }

  root(size: number = this.entries.length): Uint8Array {
    return rootOf(this.entries.slice(0, size).map(leafHash));
  }

  /** The checkpoint of the first `size` entries, cosigned at `timeSeconds`. */
  checkpoint(timeSeconds: number, size: number = this.entries.length): Note {
    const text = checkpointText({ origin: this.key.name, size, root: this.root(size) });
    return { text, signatures: [this.signer.sign(text), this.signer.cosign(text, timeSeconds)] };
  }

  /** That checkpoint as a file has it. */
  checkpointFile(timeSeconds: number, size: number = this.entries.length): string {
    return encodeNote(this.checkpoint(timeSeconds, size));
  }

  /** The text of a proof that entry `index` is among the first `size`. */
  prove(index: number, timeSeconds: number, size: number = this.entries.length): string {
    return encodeLogProof(index, this.inclusionHashes(index, size), this.checkpoint(timeSeconds, size));
  }

  inclusionHashes(index: number, size: number): Uint8Array[] {
    const leaves = this.entries.slice(0, size).map(leafHash);
    return inclusionRanges(index, size).map(({ start, end }) => rootOf(leaves.slice(start, end)));
  }

  /** The hashes that show that the tree of `second` entries extends that of `first`; none where it takes none. */
  consistencyHashes(first: number, second: number): Uint8Array[] {
    if (first === 0 || first >= second) return [];
    const leaves = this.entries.map(leafHash);
    return consistencyRanges(first, second).map(({ start, end }) => rootOf(leaves.slice(start, end)));
  }

  /** What the log asks a witness for once it has grown from `oldSize` to `size`. */
  witnessRequest(oldSize: number, size: number): { oldSize: number; proof: Uint8Array[]; note: Note } {
    const { text } = this.checkpoint(0, size);
    return {
      oldSize,
      proof: this.consistencyHashes(oldSize, size),
      note: { text, signatures: [this.signer.sign(text)] },
    };
  }
}
