// Deterministic CBOR, RFC 8949 §4.2: one encoding per value, and a reader that takes no other.
//
// Integers are numbers (of the safe range), byte strings Uint8Array, text strings, lists arrays, maps Map with unsigned
// integer keys that rise. Floats, tags, indefinite lengths and anything longer than need be are refused.

import { codeDamaged, duplicateKey, malformed, notCanonical, outOfRange, tooLarge, trailingBytes } from "./refusal.js";

const DEPTH_MAX = 12;
const [UINT, NEGATIVE, BYTES, TEXT, LIST, MAP] = [0, 1, 2, 3, 4, 5];
const [FALSE, TRUE, NULL] = [0xf4, 0xf5, 0xf6];

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function isEqual(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export function head(major, value) {
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(String(value));
  const first = major << 5;
  if (value < 24) return Uint8Array.of(first | value);
  if (value < 0x100) return Uint8Array.of(first | 24, value);
  const wide = new DataView(new ArrayBuffer(9));
  const [info, width] = value < 0x10000 ? [25, 2] : value < 0x100000000 ? [26, 4] : [27, 8];
  wide.setBigUint64(1, BigInt(value));
  const made = new Uint8Array(wide.buffer, 8 - width, width + 1).slice();
  made[0] = first | info;
  return made;
}

export const bstr = (bytes) => concat(head(BYTES, bytes.length), bytes);

export function encode(value) {
  if (value === null) return Uint8Array.of(NULL);
  if (typeof value === "boolean") return Uint8Array.of(value ? TRUE : FALSE);
  if (typeof value === "number") return value < 0 ? head(NEGATIVE, -1 - value) : head(UINT, value);
  if (value instanceof Uint8Array) return bstr(value);
  if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    return concat(head(TEXT, bytes.length), bytes);
  }
  if (Array.isArray(value)) return concat(head(LIST, value.length), ...value.map(encode));
  if (value instanceof Map) {
    const keys = [...value.keys()].sort((one, other) => one - other);
    return concat(head(MAP, keys.length), ...keys.flatMap((key) => [head(UINT, key), encode(value.get(key))]));
  }
  throw malformed(`${typeof value} has no encoding here`);
}

export function decode(bytes, bytesMax) {
  if (bytes.length > bytesMax) throw tooLarge(`${bytes.length} > ${bytesMax}`);
  const reader = new Reader(bytes);
  const value = reader.value(DEPTH_MAX);
  if (reader.at !== bytes.length) throw trailingBytes(`${bytes.length - reader.at} extra`);
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw codeDamaged("ends early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  // The number behind a first byte; only its shortest spelling.
  argument(info) {
    if (info < 24) return info;
    if (info === 31) throw notCanonical("indefinite length");
    if (info > 27) throw malformed(`additional information ${info}`);
    const width = 1 << (info - 24);
    const value = this.take(width).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (value < (width === 1 ? 24n : 1n << BigInt(4 * width))) throw notCanonical("not in its shortest form");
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw outOfRange("an integer of more than 53 bits");
    return Number(value);
  }

  value(depth) {
    const [first] = this.take(1);
    if (first === FALSE || first === TRUE) return first === TRUE;
    if (first === NULL) return null;
    const major = first >> 5;
    if (major > MAP) throw malformed("a float, a tag or a simple value");
    const count = this.argument(first & 31);
    if (major === UINT) return count;
    if (major === NEGATIVE) return -1 - count;
    if (major === BYTES) return this.take(count).slice();
    if (major === TEXT) return this.text(count);
    if (depth === 0) throw malformed("nested too deeply");
    if (count > this.bytes.length - this.at) throw codeDamaged("ends early");
    return major === LIST ? Array.from({ length: count }, () => this.value(depth - 1)) : this.map(count, depth);
  }

  text(count) {
    const bytes = this.take(count);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw malformed("text that is no UTF-8");
    }
  }

  map(count, depth) {
    const made = new Map();
    let before = -1;
    for (let member = 0; member < count; member += 1) {
      const key = this.value(depth - 1);
      if (typeof key !== "number" || key < 0) throw malformed("a map key that is no unsigned integer");
      if (made.has(key)) throw duplicateKey(String(key));
      if (key < before) throw notCanonical("keys out of order");
      before = key;
      made.set(key, this.value(depth - 1));
    }
    return made;
  }
}
