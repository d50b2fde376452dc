// A receipt's voucher: who signed it, whether it names a code of this wallet, and what the city's statement says of it.

import { Kind, OBJECT_BYTES_MAX, externalAad, isSignatureOf, parseSign1, toHex } from "./cose.js";
import { VOUCHER } from "./objects.js";
import { noAllowance, receiptForged } from "./refusal.js";
import { readCertificate } from "./requests.js";

export const SIGNED = "signed", UNKNOWN = "unknown";

// {voucher, signature, line}: `signature` UNKNOWN where this terminal's certificate was never seen; `line`: the history's,
// if the voucher names a code of ours. Refused: a voucher that its terminal did not sign.
export async function checkReceipt(raw, state, store) {
  if (!state?.trust) throw noAllowance();
  const signed = await parseSign1(raw, externalAad(Kind.VOUCHER, state.city));
  const voucher = VOUCHER.decode(signed.payload, OBJECT_BYTES_MAX);
  const kept = await store.certificate(voucher.device);
  let signature = UNKNOWN;
  if (kept) {
    const certificate = await readCertificate(kept.raw, state.trust);
    if (!(await isSignatureOf(signed, certificate.point))) throw receiptForged(voucher.device);
    signature = SIGNED;
  }
  const named = voucher.object_hash && toHex(voucher.object_hash);
  const line = named ? (await store.history()).find((one) => one.identities.includes(named)) : undefined;
  return { voucher, signature, line: line ?? null };
}
