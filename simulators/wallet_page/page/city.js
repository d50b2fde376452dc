// The city over HTTPS: its API byte for byte, behind the address that this page came from.

import * as cbor from "./cbor.js";
import { CITY_OBJECT_BYTES_MAX, OBJECT_BYTES_MAX } from "./cose.js";
import { Refusal, answerInvalid, offline } from "./refusal.js";

const TIMEOUT_MS = 20_000;
const LISTS_BYTES_MAX = 1_048_576;

export async function ask(body, invitation = "") {
  const headers = { "content-type": "application/cbor", ...(invitation ? { "kgo-invitation": invitation } : {}) };
  const answer = await asked("city/v1/wallet", CITY_OBJECT_BYTES_MAX, { method: "POST", body, headers });
  if (!(answer instanceof Map)) throw answerInvalid("no map");
  return answer;
}

export async function trustLists(after) {
  const lists = await asked(`city/v1/trust-lists?after=${after}`, LISTS_BYTES_MAX, {});
  if (!Array.isArray(lists) || !lists.every((one) => one instanceof Uint8Array)) throw answerInvalid("no lists");
  return lists;
}

// A terminal's newest certificate; whose it is and whether the city signed it is judged by who asks.
export function certificate(device) {
  return asked(`city/v1/certificates?device=${encodeURIComponent(device)}`, OBJECT_BYTES_MAX, {}, (bytes) => bytes);
}

async function asked(path, bytesMax, options, read = (bytes) => cbor.decode(bytes, bytesMax)) {
  let response, bytes;
  try {
    response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw offline(String(error));
  }
  if (response.headers.get("content-type") !== "application/cbor") throw offline(`status ${response.status}`);
  if (bytes.length > bytesMax) throw answerInvalid(`${bytes.length} bytes`);
  if (response.ok) return read(bytes);
  const found = cbor.decode(bytes, bytesMax);
  if (!(found instanceof Map)) throw answerInvalid(`status ${response.status}`);
  throw new Refusal(Number(found.get(1)), String(found.get(2)), String(found.get(3)));
}
