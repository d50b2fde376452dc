// QR text: KGO1, a type letter, a colon, Base45 of a list of signed objects. docs/protocol.md "QR text".

import * as base45 from "./base45.js";
import * as cbor from "./cbor.js";
import { codeDamaged, malformed, notOurCode, tooLarge, wrongCodeType } from "./refusal.js";

const PREFIX = "KGO1";
const CHARACTERS_MAX = 600; // version 15, level M
const OBJECT_BYTES_MAX = 1_024;
export const PRESENTMENT = "P", PAYMENT = "A", REQUEST = "Q", COUPON = "C", RECEIPT = "V";
const COUNTS = { [PRESENTMENT]: 2, [PAYMENT]: 2, [REQUEST]: 2, [COUPON]: 1, [RECEIPT]: 1 };

export function encode(type, ...objects) {
  const text = `${PREFIX}${type}:${base45.encode(cbor.encode(objects))}`;
  if (objects.length !== COUNTS[type] || text.length > CHARACTERS_MAX) throw tooLarge(`${text.length} characters`);
  return text;
}

export function decode(text) {
  if (!text.startsWith(PREFIX)) throw notOurCode();
  if (text.length > CHARACTERS_MAX) throw tooLarge(`${text.length} characters`);
  if (text.length < 7 || text[5] !== ":") throw codeDamaged("header");
  const type = text[4];
  if (!Object.hasOwn(COUNTS, type)) throw wrongCodeType(type);
  const objects = cbor.decode(base45.decode(text.slice(6)), OBJECT_BYTES_MAX);
  if (!Array.isArray(objects) || objects.length !== COUNTS[type]) throw malformed("list of objects expected");
  if (!objects.every((one) => one instanceof Uint8Array)) throw malformed("list of byte strings expected");
  return { type, objects };
}
