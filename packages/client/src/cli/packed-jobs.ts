/** Signature jobs in one buffer, so that a batch crosses to a worker without being copied part by part. */
import type { SignatureJob } from "@tallystick/protocol";

/** A job: three lengths of 16 bits, then the key, the signature and the message. */
const HEAD_SIZE_BYTES = 6;

export function pack(jobs: readonly SignatureJob[]): ArrayBuffer {
  const partsOf = ({ spki, signature, message }: SignatureJob) => [spki, signature, message];
  const sizeBytes = jobs.reduce(
    (sum, job) => sum + HEAD_SIZE_BYTES + partsOf(job).reduce((size, part) => size + part.length, 0),
    0,
  );
  const buffer = new ArrayBuffer(sizeBytes);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let at = 0;
  for (const job of jobs) {
    const parts = partsOf(job);
    for (const [i, part] of parts.entries()) view.setUint16(at + 2 * i, part.length);
    at += HEAD_SIZE_BYTES;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return buffer;
}

export function unpack(buffer: ArrayBuffer): SignatureJob[] {
  const view = new DataView(buffer);
  const jobs: SignatureJob[] = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const lengths = [0, 2, 4].map((offset) => view.getUint16(at + offset));
    at += HEAD_SIZE_BYTES;
    const [spki, signature, message] = lengths.map((length) => {
      at += length;
      return new Uint8Array(buffer, at - length, length);
    });
    jobs.push({ spki: spki!, signature: signature!, message: message! });
  }
  return jobs;
}
