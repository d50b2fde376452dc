// COSE_Sign1 (RFC 9052 §4) with ES256, framed by hand; WebCrypto signs and verifies raw r‖s as COSE wants it.
//
// Verification runs over the bytes received, never over a re-encoding. Identity is SHA-256 of the Sig_structure.

import { bstr, concat, encode, head, isEqual } from "./cbor.js";
import { codeDamaged, malformed, notCanonical, outOfRange, tooLarge, trailingBytes, unknownAlgorithm,
  unprotectedHeader } from "./refusal.js";

export const OBJECT_BYTES_MAX = 1_024;
export const CITY_OBJECT_BYTES_MAX = 262_144;
const VERSION = 1;
const ES256 = { name: "ECDSA", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };
const SIGN1_START = Uint8Array.of(0xd2, 0x84, 0x4d); // tag 18, array of 4, byte string of 13
const PROTECTED_START = Uint8Array.of(0xa2, 0x01, 0x26, 0x04, 0x48); // {1: -7, 4: byte string of 8}
const SIGNATURE_HEAD = Uint8Array.of(0x58, 0x40);
const CONTEXT = concat(Uint8Array.of(0x84, 0x6a), new TextEncoder().encode("Signature1"));
const SPKI_START = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
const KEY_ID_BYTES = 8, POINT_BYTES = 33, SIGNATURE_BYTES = 64, KEYS_KEPT_MAX = 512;

export const Kind = Object.freeze({
  TRUST_LIST: 1, DEVICE_CERTIFICATE: 2, ALLOWANCE: 3, PRESENTMENT: 4, PAYMENT_REQUEST: 5, PAYMENT: 6, COUPON: 7,
  VOUCHER: 8, CLOSING: 11, STATEMENT: 12, WALLET_REQUEST: 17,
});

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export const externalAad = (kind, city) => encode([kind, VERSION, city]);

// --- keys

// A new private key that no script can read out; its public half as a compressed point.
export async function newKey() {
  const pair = await crypto.subtle.generateKey(P256, false, ["sign"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)); // 04‖x‖y
  const point = concat(Uint8Array.of(2 | (raw[64] & 1)), raw.subarray(1, 33));
  return { secret: pair.privateKey, point };
}

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function power(base, exponent) {
  let made = 1n;
  for (let square = base, left = exponent; left; left >>= 1n, square = (square * square) % P) {
    if (left & 1n) made = (made * square) % P;
  }
  return made;
}

const toNumber = (bytes) => BigInt(`0x${toHex(bytes)}`);
const toBytes = (number) => fromHex(number.toString(16).padStart(64, "0"));

// 04‖x‖y of a compressed point (SEC 1 §2.3.4): browsers import no compressed ones.
export function uncompressed(point) {
  if (point.length !== POINT_BYTES || (point[0] !== 2 && point[0] !== 3)) throw outOfRange("not a compressed P-256 point");
  const x = toNumber(point.subarray(1));
  const square = (x * x * x - 3n * x + B) % P;
  const root = power((square + P) % P, (P + 1n) / 4n);
  if (x >= P || (root * root - square) % P !== 0n) throw outOfRange("not a point on P-256");
  const y = (root & 1n) === BigInt(point[0] & 1) ? root : P - root;
  return concat(Uint8Array.of(4), point.subarray(1), toBytes(y));
}

const kept = new Map(); // point in hex → promise of its key and key id: the square root costs a millisecond

export function verifyKey(point) {
  const name = toHex(point);
  if (!kept.has(name)) {
    if (kept.size >= KEYS_KEPT_MAX) kept.clear();
    kept.set(name, importKey(point));
  }
  return kept.get(name);
}

async function importKey(point) {
  const raw = uncompressed(point);
  const key = await crypto.subtle.importKey("raw", raw, P256, true, ["verify"]);
  return { key, keyId: (await sha256(concat(SPKI_START, raw))).slice(0, KEY_ID_BYTES) };
}

export const keyIdOf = async (point) => (await verifyKey(point)).keyId;

// --- signed objects

export async function sign1(payload, aad, { secret, point }) {
  const header = concat(PROTECTED_START, await keyIdOf(point));
  const toBeSigned = structure(header, aad, payload);
  const signature = new Uint8Array(await crypto.subtle.sign(ES256, secret, toBeSigned));
  const raw = concat(SIGN1_START, header, Uint8Array.of(0xa0), bstr(payload), SIGNATURE_HEAD, signature);
  return { raw, identity: await sha256(toBeSigned) };
}

export function structure(header, aad, payload) {
  return concat(CONTEXT, bstr(header), bstr(aad), bstr(payload));
}

// Splits without trusting. `aad` is that of the kind expected here.
export async function parseSign1(raw, aad, bytesMax = OBJECT_BYTES_MAX) {
  if (raw.length > bytesMax) throw tooLarge(`${raw.length} > ${bytesMax}`);
  if (!isEqual(raw.subarray(0, 2), SIGN1_START.subarray(0, 2))) throw malformed("not a COSE_Sign1");
  const [header, afterHeader] = byteString(raw, 2);
  if (header.length !== 13 || !isEqual(header.subarray(0, 5), PROTECTED_START)) throw unknownAlgorithm();
  if (raw[afterHeader] !== 0xa0) throw unprotectedHeader();
  const [payload, afterPayload] = byteString(raw, afterHeader + 1);
  const [signature, end] = byteString(raw, afterPayload);
  if (end !== raw.length) throw trailingBytes(`${raw.length - end} extra`);
  if (signature.length !== SIGNATURE_BYTES) throw malformed(`a signature of ${signature.length} bytes`);
  const toBeSigned = structure(header, aad, payload);
  return { raw, keyId: header.slice(5), payload, signature, toBeSigned, identity: await sha256(toBeSigned) };
}

function byteString(raw, at) {
  if (at >= raw.length) throw codeDamaged("ends early");
  if (raw[at] >> 5 !== 2) throw malformed("a byte string was expected");
  const info = raw[at] & 31;
  if (info > 26) throw notCanonical("not in its shortest form");
  const width = info < 24 ? 0 : 1 << (info - 24);
  const from = at + 1 + width;
  const size = width ? raw.subarray(at + 1, from).reduce((sum, byte) => sum * 256 + byte, 0) : info;
  if (from + size > raw.length) throw codeDamaged("ends early");
  if (head(2, size).length !== width + 1) throw notCanonical("not in its shortest form");
  return [raw.slice(from, from + size), from + size];
}

export async function isSignatureOf(signed, point) {
  const { key, keyId } = await verifyKey(point);
  return isEqual(keyId, signed.keyId) && crypto.subtle.verify(ES256, key, signed.signature, signed.toBeSigned);
}
