/** A caller's WAV (RIFF, 16-bit PCM or 32-bit float, one or two channels) as samples of one channel at one rate. */

const MIN_RATE = 8_000;
const MAX_RATE = 48_000;

export type Sound = { ok: true; samples: Float32Array } | { ok: false; message: string };

type Format = { kind: "pcm16" | "float32"; channels: number; rate: number };

/** The sound in `bytes` at `rate` samples a second, which may be at most `maxSeconds` long. */
export function decodeWav(bytes: Uint8Array, rate: number, maxSeconds: number): Sound {
  try {
    const { format, body } = readChunks(bytes);
    const samples = mix(format, body);
    if (samples.length > format.rate * maxSeconds) throw new Error(`is longer than ${maxSeconds} s: send it in parts`);
    return { ok: true, samples: changeRate(samples, format.rate, rate) };
  } catch (error) {
    return { ok: false, message: `the audio ${error instanceof Error ? error.message : "cannot be decoded"}` };
  }
}

function readChunks(bytes: Uint8Array): { format: Format; body: Uint8Array } {
  const text = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (text(0) !== "RIFF" || text(8) !== "WAVE") throw new Error("is not a WAV: send 16-bit PCM or 32-bit float WAV");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size;
    if (end > bytes.length) throw new Error(`is cut off: its "${text(at)}" part is not all there`);
    if (text(at) === "fmt ") format = readFormat(view, at + 8, size);
    if (text(at) === "data") {
      if (format === undefined) throw new Error("has its samples before their format");
      return { format, body: bytes.subarray(at + 8, end) };
    }
    at = end + (size % 2);
  }
  throw new Error("has no samples");
}

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16) throw new Error("has a format that no WAV has");
  const tag = view.getUint16(at, true);
  const code = tag === 0xfffe && size >= 40 ? view.getUint16(at + 24, true) : tag;
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  const kind = code === 1 && bits === 16 ? "pcm16" : code === 3 && bits === 32 ? "float32" : undefined;
  if (kind === undefined) throw new Error(`is of format ${code} with ${bits} bits: send 16-bit PCM or 32-bit float`);
  if (channels < 1 || channels > 2) throw new Error(`has ${channels} channels: send one or two`);
  if (rate < MIN_RATE || rate > MAX_RATE)
    throw new Error(`has ${rate} samples a second: send ${MIN_RATE} to ${MAX_RATE}`);
  return { kind, channels, rate };
}

/** The mean of the channels, from -1 to 1. */
function mix({ kind, channels }: Format, body: Uint8Array): Float32Array {
  const width = kind === "pcm16" ? 2 : 4;
  const count = Math.floor(body.length / (width * channels));
  if (count === 0) throw new Error("has no samples");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const samples = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      const at = (i * channels + c) * width;
      sum += kind === "pcm16" ? view.getInt16(at, true) / 32768 : view.getFloat32(at, true);
    }
    if (!Number.isFinite(sum)) throw new Error(`has a NaN or an infinity at sample ${i}`);
    samples[i] = sum / channels;
  }
  return samples;
}

/** Linear between samples when the rate grows; when it falls, a tent-shaped mean of those a new sample stands for. */
function changeRate(samples: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return samples;
  const step = from / to;
  const reach = Math.max(1, step);
  const changed = new Float32Array(Math.max(1, Math.floor((samples.length * to) / from)));
  for (let i = 0; i < changed.length; i++) {
    const centre = (i + 0.5) * step - 0.5;
    const last = Math.min(samples.length - 1, Math.floor(centre + reach));
    let [sum, shares] = [0, 0];
    for (let at = Math.max(0, Math.ceil(centre - reach)); at <= last; at++) {
      const share = 1 - Math.abs(at - centre) / reach;
      sum += share * samples[at]!;
      shares += share;
    }
    changed[i] = sum / shares;
  }
  return changed;
}
