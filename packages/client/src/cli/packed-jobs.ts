/** Signature jobs in one buffer, so that a batch crosses to a worker without being copied part by part. */
import type { SignatureJob } from "@tallystick/protocol";

/** A key: its length in 16 bits, then it. A job: the place of its key and two lengths, 16 bits each, then signature and message. */
const KEY_HEAD_SIZE_BYTES = 2;
const JOB_HEAD_SIZE_BYTES = 6;

/** The keys once each, behind their count: a batch is mostly by few. Then the jobs. */
export function pack(jobs: readonly SignatureJob[]): ArrayBuffer {
  const places = new Map<Uint8Array, number>();
  let sizeBytes = 2;
  for (const { spki, signature, message } of jobs) {
    if (!places.has(spki)) {
      places.set(spki, places.size);
      sizeBytes += KEY_HEAD_SIZE_BYTES + spki.length;
    }
    sizeBytes += JOB_HEAD_SIZE_BYTES + signature.length + message.length;
  }
  const buffer = new ArrayBuffer(sizeBytes);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  view.setUint16(0, places.size);
  let at = 2;
  for (const spki of places.keys()) {
    view.setUint16(at, spki.length);
    bytes.set(spki, at + KEY_HEAD_SIZE_BYTES);
    at += KEY_HEAD_SIZE_BYTES + spki.length;
  }
  for (const { spki, signature, message } of jobs) {
    view.setUint16(at, places.get(spki) ?? 0);
    view.setUint16(at + 2, signature.length);
    view.setUint16(at + 4, message.length);
    bytes.set(signature, at + JOB_HEAD_SIZE_BYTES);
    bytes.set(message, at + JOB_HEAD_SIZE_BYTES + signature.length);
    at += JOB_HEAD_SIZE_BYTES + signature.length + message.length;
  }
  return buffer;
}

/** The jobs in `buffer`, as views of it; those by one key share its bytes. */
export function unpack(buffer: ArrayBuffer): SignatureJob[] {
  const view = new DataView(buffer);
  const keys: Uint8Array[] = [];
  const jobs: SignatureJob[] = [];
  let at = 2;
  for (let left = view.getUint16(0); left > 0; left--) {
    const length = view.getUint16(at);
    keys.push(new Uint8Array(buffer, at + KEY_HEAD_SIZE_BYTES, length));
    at += KEY_HEAD_SIZE_BYTES + length;
  }
  while (at < buffer.byteLength) {
    const [place, signatureLength, messageLength] = [
      view.getUint16(at),
      view.getUint16(at + 2),
      view.getUint16(at + 4),
    ];
    const signature = new Uint8Array(buffer, at + JOB_HEAD_SIZE_BYTES, signatureLength);
    at += JOB_HEAD_SIZE_BYTES + signatureLength + messageLength;
    jobs.push({ spki: keys[place]!, signature, message: new Uint8Array(buffer, at - messageLength, messageLength) });
  }
  return jobs;
}
