// The city's keys: a chain of trust lists, each signed by enough distinct roots. docs/protocol.md "Chains".
//
// The first list is taken as it comes when the wallet registers, and names the city; from then on a list must follow the
// one held: next version, its hash named, signed by its own roots and by the held list's.

import { isEqual } from "./cbor.js";
import { CITY_OBJECT_BYTES_MAX, Kind, externalAad, isSignatureOf, keyIdOf, parseSign1, sha256,
  toHex } from "./cose.js";
import { SIGNED_TRUST_LIST, TRUST_LIST } from "./objects.js";
import { issuerKeyExpired, issuerRoleWrong, trustBroken, unknownCity, unknownIssuer } from "./refusal.js";

export const ALLOWANCE_ISSUER = 1, DEVICE_CA = 2, ACK = 4;
const CHAIN_LISTS_MAX = 4_096;

// The last list of an unbroken chain after `held` (null: from the first one).
export async function follow(chain, held, city) {
  for (const raw of chain.slice(0, CHAIN_LISTS_MAX)) held = await next(raw, held, held ? held.city : city);
  return held;
}

async function next(raw, held, city) {
  const { signatures } = SIGNED_TRUST_LIST.decode(raw, CITY_OBJECT_BYTES_MAX);
  const said = await parseSign1(signatures[0], externalAad(Kind.TRUST_LIST, ""), CITY_OBJECT_BYTES_MAX);
  const list = TRUST_LIST.decode(said.payload, CITY_OBJECT_BYTES_MAX);
  if (city && list.city !== city) throw unknownCity(list.city);
  const aad = externalAad(Kind.TRUST_LIST, list.city);
  const signed = await Promise.all(signatures.map((one) => parseSign1(one, aad, CITY_OBJECT_BYTES_MAX)));
  if (signed.some((one) => !isEqual(one.payload, said.payload))) throw trustBroken("the roots signed different payloads");
  if (new Set(list.roots.map(toHex)).size !== list.roots.length || list.threshold > list.roots.length) {
    throw trustBroken("a root named twice, or fewer roots than signatures needed");
  }
  const version = held ? held.version + 1 : 1;
  const previous = held ? held.payload_hash : new Uint8Array(32);
  if (list.version !== version || !isEqual(list.previous, previous)) {
    throw trustBroken(`version ${list.version} does not follow ${version - 1}`);
  }
  await checkSignatures(signed, list.roots, list.threshold, "its own");
  if (held) await checkSignatures(signed, held.roots, held.threshold, "the held list's");
  return { ...list, payload_hash: await sha256(said.payload) };
}

// Distinct root keys are counted: one that signs twice counts once.
async function checkSignatures(signed, roots, threshold, whose) {
  let count = 0;
  for (const root of roots) {
    const found = await Promise.all(signed.map((one) => isSignatureOf(one, root)));
    count += found.includes(true) ? 1 : 0;
  }
  if (count < threshold) throw trustBroken(`${count} of ${threshold} signatures of ${whose} roots`);
}

// That a key of this role signed it, judged at the time it names; `forged` when its key id is known and it did not.
export async function verify(list, signed, role, signedAtS, forged) {
  const candidates = [];
  for (const key of list.keys) {
    if (isEqual(await keyIdOf(key[1]), signed.keyId)) candidates.push(key);
  }
  if (!candidates.length) throw unknownIssuer(toHex(signed.keyId));
  const fitting = [];
  for (const key of candidates) if (await isSignatureOf(signed, key[1])) fitting.push(key);
  if (!fitting.length) throw forged("signature");
  const ofRole = fitting.filter(([itsRole]) => itsRole === role);
  if (!ofRole.length) throw issuerRoleWrong();
  if (!ofRole.some(([, , from, until]) => from <= signedAtS && signedAtS <= until)) throw issuerKeyExpired();
}

export const isRevoked = (list, device) => list.revocations.some(([name]) => name === device);
