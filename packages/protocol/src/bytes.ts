/** Bytes and their spellings: hex, base64, UTF-8. The only place they are spelled. */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Lower-case hex of `bytes`. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

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
const PADDING = "=".charCodeAt(0);

/** Standard base64 with padding (RFC 4648 §4). */
export function base64(bytes: Uint8Array): string {
  const letters = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(PADDING);
  for (let i = 0, at = 0; i < bytes.length; i += 3, at += 4) {
    const word = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    letters[at] = LETTERS[word >> 18] ?? 0;
    letters[at + 1] = LETTERS[(word >> 12) & 63] ?? 0;
    if (i + 1 < bytes.length) letters[at + 2] = LETTERS[(word >> 6) & 63] ?? 0;
    if (i + 2 < bytes.length) letters[at + 3] = LETTERS[word & 63] ?? 0;
  }
  return textOf(letters);
}

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

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD, as the Encoding standard has it. */
export function utf8(text: string): Uint8Array {
  const bytes = new Uint8Array(3 * text.length); // No UTF-16 unit takes more than three bytes.
  let size = 0;
  for (let i = 0; i < text.length; i++) {
    let point = text.codePointAt(i) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) {
      bytes[size++] = point;
      continue;
    }
    if (point < 0x800) bytes[size++] = 0xc0 | (point >> 6);
    else {
      if (point < 0x10000) bytes[size++] = 0xe0 | (point >> 12);
      else {
        i++; // The second half of its surrogate pair.
        bytes[size++] = 0xf0 | (point >> 18);
        bytes[size++] = 0x80 | ((point >> 12) & 63);
      }
      bytes[size++] = 0x80 | ((point >> 6) & 63);
    }
    bytes[size++] = 0x80 | (point & 63);
  }
  return bytes.slice(0, size);
}

/** The text of well-formed UTF-8, or undefined: overlong forms, surrogates and truncation are refused (RFC 3629 §3). */
export function parseUtf8(bytes: Uint8Array): string | undefined {
  const units = new Uint16Array(bytes.length); // No byte makes more than one UTF-16 unit.
  let size = 0;
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i] ?? 0;
    if (lead < 0x80) {
      units[size++] = lead;
      i++;
      continue;
    }
    const length = lead >= 0xf5 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
    if (length === 0 || i + length > bytes.length) return undefined;
    let point = lead & (0xff >> (length + 1));
    for (let k = 1; k < length; k++) {
      const next = bytes[i + k] ?? 0;
      if (next >> 6 !== 2) return undefined;
      point = (point << 6) | (next & 63);
    }
    const least = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    if (point >= 0x10000) units[size++] = 0xd800 + ((point - 0x10000) >> 10);
    units[size++] = point < 0x10000 ? point : 0xdc00 + (point & 0x3ff);
    i += length;
  }
  return textOf(units.subarray(0, size));
}

/** The text of UTF-16 units, a piece at a time: a call takes only so many arguments. */
function textOf(units: Uint8Array | Uint16Array): string {
  let text = "";
  for (let i = 0; i < units.length; i += 8192)
    text += Reflect.apply(String.fromCharCode, undefined, units.subarray(i, i + 8192));
  return text;
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

/** Whether two byte strings are the same. Not for secrets: it stops at the first difference. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
