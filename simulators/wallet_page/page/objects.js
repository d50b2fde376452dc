// Payload layouts by table, as in offline_ledger/protocol: the names are those of wire.cddl, units in the name.
//
// Unknown keys, missing keys, wrong types and values out of range are refused; nothing is coerced.

import * as cbor from "./cbor.js";
import { malformed, outOfRange, unknownKey } from "./refusal.js";

const AMOUNT_MAX = 1_000_000_000_000, TIME_S_MAX = 2 ** 40 - 1, U32 = 2 ** 32, COUNT_MAX = 2 ** 48;
const NOT_PRINTABLE = /(?! )[\p{Z}\p{C}]/u;

const uint = (most, least = 0) => (value) => {
  if (typeof value !== "number") throw malformed("integer expected");
  if (value < least || value > most) throw outOfRange(String(value));
  return value;
};
const amount = uint(AMOUNT_MAX), timeS = uint(TIME_S_MAX);
const blob = (most, least = 1) => (value) => {
  if (!(value instanceof Uint8Array)) throw malformed("bytes expected");
  if (value.length < least || value.length > most) throw outOfRange(`${value.length} bytes`);
  return value;
};
const fixed = (size) => blob(size, size);
const hash = fixed(32), point = fixed(33), passId = fixed(8), nonce = fixed(16);
const text = (most) => (value) => {
  if (typeof value !== "string") throw malformed("text expected");
  const characters = [...value].length;
  if (!characters || characters > most || NOT_PRINTABLE.test(value)) throw outOfRange(`${characters} characters`);
  return value;
};
const city = text(16), id = text(32);
const items = (item, most, least = 0) => (value) => {
  if (!Array.isArray(value)) throw malformed("list expected");
  if (value.length < least || value.length > most) throw outOfRange(`${value.length} items`);
  return value.map(item);
};
const row = (...columns) => (value) => {
  if (!Array.isArray(value) || value.length !== columns.length) throw malformed(`row of ${columns.length} expected`);
  return columns.map((column, at) => column(value[at]));
};
const openMap = (value) => {
  if (!(value instanceof Map) || [...value.keys()].some((key) => key >= 24)) throw malformed("map expected");
  return value;
};

const OPTIONAL = true;

// fields: [key, name, check, OPTIONAL?]
function layout(...fields) {
  return {
    encode(value) {
      const made = new Map();
      for (const [key, name, check, optional] of fields) {
        if (value[name] !== undefined && value[name] !== null) made.set(key, check(value[name]));
        else if (!optional) throw malformed(`key ${key} is missing`);
      }
      return cbor.encode(made);
    },
    fromMap(found) {
      if (!(found instanceof Map)) throw malformed("map expected");
      const value = {};
      for (const [key, name, check, optional] of fields) {
        if (found.has(key)) value[name] = check(found.get(key));
        else if (!optional) throw malformed(`key ${key} is missing`);
        else value[name] = null;
      }
      for (const key of found.keys()) if (!fields.some(([known]) => known === key)) throw unknownKey(String(key));
      return value;
    },
    decode(payload, bytesMax) {
      return this.fromMap(cbor.decode(payload, bytesMax));
    },
  };
}

export const TRUST_LIST = layout(
  [1, "city", city], [2, "version", uint(U32, 1)], [3, "previous", hash], [4, "issued_at_s", timeS],
  [5, "expires_at_s", timeS], [6, "threshold", uint(16, 1)], [7, "roots", items(point, 16, 1)],
  [8, "keys", items(row(uint(15, 1), point, timeS, timeS), 256, 1)],
  [9, "revocations", items(row(id, uint(COUNT_MAX)), 4_096)],
  [10, "log_begun_after", row(uint(COUNT_MAX), hash), OPTIONAL],
);
export const SIGNED_TRUST_LIST = layout([1, "signatures", items(blob(262_144), 16, 1)]);
export const DEVICE_CERTIFICATE = layout(
  [1, "city", city], [2, "device", id], [3, "role", uint(15, 1)], [4, "owner", id], [5, "point", point],
  [6, "not_before_s", timeS], [7, "expires_at_s", timeS], [8, "offline_value_kgo", amount],
  [9, "offline_hours", uint(24 * 366)],
);
export const ALLOWANCE = layout(
  [1, "city", city], [2, "pass_id", passId], [3, "wallet_point", point], [4, "reserve_kgo", amount],
  [5, "transit_cap_kgo", amount], [6, "shop_cap_kgo", amount], [7, "concession", uint(15)], [8, "medium", uint(3)],
  [9, "not_before_s", timeS], [10, "expires_at_s", timeS],
);
export const PRESENTMENT = layout(
  [1, "allowance_hash", hash], [2, "n", uint(U32, 1)], [3, "sum_kgo", amount], [4, "cap_kgo", amount],
  [5, "audience", uint(2, 1)], [6, "at_s", timeS], [7, "valid_s", uint(30, 1)],
);
export const PAYMENT_REQUEST = layout(
  [1, "device", id], [2, "owner", id], [3, "amount_kgo", amount], [4, "amount_satang", amount], [5, "what_for", id],
  [6, "nonce", nonce], [7, "at_s", timeS], [8, "expires_at_s", timeS], [9, "pass_id", passId, OPTIONAL],
);
export const PAYMENT = layout(
  [1, "allowance_hash", hash], [2, "n", uint(U32, 1)], [3, "sum_kgo", amount], [4, "request_hash", hash],
  [5, "amount_kgo", amount], [6, "at_s", timeS],
);
export const CLOSING = layout([1, "allowance_hash", hash], [2, "last_n", uint(U32)], [3, "final_sum_kgo", amount]);
const charge = row(uint(U32, 1), amount);
export const STATEMENT = layout(
  [1, "allowance_hash", hash], [2, "issued_at_s", timeS], [3, "charges", items(charge, 10_000)],
  [4, "returned_kgo", amount], [5, "earlier", charge, OPTIONAL],
);
export const VOUCHER = layout(
  [1, "device", id], [2, "sequence", uint(COUNT_MAX, 1)], [3, "previous", hash], [4, "at_s", timeS], [5, "trust", uint(2)],
  [6, "kind", uint(23, 1)], [7, "kgo", amount], [8, "satang", amount], [9, "object_hash", hash, OPTIONAL],
  [10, "product", id], [11, "bulletin", row(uint(U32), uint(U32))], [12, "place", openMap],
  [13, "reward_kgo", amount, OPTIONAL], [14, "refers_to", uint(COUNT_MAX, 1), OPTIONAL],
);
export const WALLET_REQUEST = layout(
  [1, "what", uint(15, 1)], [2, "account_point", point], [3, "wallet_point", point], [4, "nonce", nonce],
  [5, "at_s", timeS], [6, "body", hash, OPTIONAL], [7, "closing", blob(512), OPTIONAL],
);
