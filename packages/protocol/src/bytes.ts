/** Bytes and their spellings: hex, base64, UTF-8. The only place they are spelled. */
export { base64, equal, hex, latin1, parseUtf8, utf8 } from "#platform";

/** The bytes of lower-case hex, or undefined when `text` is anything else. */
export function parseHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LETTERS = Uint8Array.from(ALPHABET, (letter) => letter.charCodeAt(0));
const NO_SIXTET = 64;
const SIXTETS = new Uint8Array(128).fill(NO_SIXTET);
for (const [sixtet, letter] of LETTERS.entries()) SIXTETS[letter] = sixtet;

/** The bytes of standard base64, or undefined: padding is required and no bit may be left over (RFC 4648 §3.5). */
export function parseBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let word = 0;
  let written = 0;
  for (let i = 0; i < text.length; i++) {
    const sixtet = i < text.length - padding ? (SIXTETS[text.charCodeAt(i)] ?? NO_SIXTET) : 0;
    if (sixtet === NO_SIXTET) return undefined;
    word = (word << 6) | sixtet;
    if (i % 4 !== 3) continue;
    const spare = i === text.length - 1 ? padding : 0;
    if (spare > 0 && (word & ((1 << (8 * spare)) - 1)) !== 0) return undefined;
    for (let shift = 16; shift >= 8 * spare; shift -= 8) bytes[written++] = (word >> shift) & 255;
    word = 0;
  }
  return bytes;
}

/** `parts`, one after another. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
