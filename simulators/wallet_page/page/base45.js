// Base45, RFC 9285: the alphabet of QR's alphanumeric mode.

import { codeDamaged } from "./refusal.js";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const VALUES = new Map([...ALPHABET].map((letter, value) => [letter, value]));

export function encode(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const isPair = at + 1 < bytes.length;
    let value = isPair ? (bytes[at] << 8) | bytes[at + 1] : bytes[at];
    for (let letter = 0; letter < (isPair ? 3 : 2); letter += 1) {
      text += ALPHABET[value % 45];
      value = Math.trunc(value / 45);
    }
  }
  return text;
}

export function decode(text) {
  if (text.length % 3 === 1) throw codeDamaged("length is not that of Base45");
  const bytes = [];
  for (let at = 0; at < text.length; at += 3) {
    const values = [...text.slice(at, at + 3)].map((letter) => VALUES.get(letter));
    if (values.includes(undefined)) throw codeDamaged("a character outside Base45");
    const worth = values.reduce((sum, value, place) => sum + value * 45 ** place, 0);
    if (worth > (values.length === 3 ? 0xffff : 0xff)) throw codeDamaged("a value outside Base45");
    if (values.length === 3) bytes.push(worth >> 8);
    bytes.push(worth & 0xff);
  }
  return Uint8Array.from(bytes);
}
