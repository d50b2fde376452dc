// A terminal's payment request: who asks and how much, believed only when everything about it is signed and in date.

import { Kind, OBJECT_BYTES_MAX, externalAad, isSignatureOf, parseSign1, toHex } from "./cose.js";
import { DEVICE_CERTIFICATE, PAYMENT_REQUEST } from "./objects.js";
import { certificateInvalid, fromFuture, requestExpired, requestForged, roleWrong, terminalRevoked,
  unknownCity } from "./refusal.js";
import * as trust from "./trust.js";

export const SKEW_S = 5;
export const SHOP = 1, VALIDATOR = 2;

// The certificate that this city's device CA signed. Refused: of another city, not signed by it.
export async function readCertificate(raw, list) {
  const signed = await parseSign1(raw, externalAad(Kind.DEVICE_CERTIFICATE, list.city));
  const certificate = DEVICE_CERTIFICATE.decode(signed.payload, OBJECT_BYTES_MAX);
  if (certificate.city !== list.city) throw unknownCity(certificate.city);
  await trust.verify(list, signed, trust.DEVICE_CA, certificate.not_before_s, certificateInvalid);
  return certificate;
}

// {certificate, request, name}: `name` is the request's identity in hex. Whether it can be paid is judged elsewhere.
export async function readRequest([certificateRaw, requestRaw], list) {
  const certificate = await readCertificate(certificateRaw, list);
  const signed = await parseSign1(requestRaw, externalAad(Kind.PAYMENT_REQUEST, list.city));
  const request = PAYMENT_REQUEST.decode(signed.payload, OBJECT_BYTES_MAX);
  if (!(await isSignatureOf(signed, certificate.point))) throw requestForged("not signed by this terminal");
  if (request.device !== certificate.device || request.owner !== certificate.owner) {
    throw requestForged(`for ${request.device} of ${request.owner}`);
  }
  return { certificate, certificateRaw, request, identity: signed.identity, name: toHex(signed.identity) };
}

// Refused: a terminal that may not ask now, a request that is over or not yet.
export function checkInDate({ certificate, request }, list, nowS) {
  if (trust.isRevoked(list, certificate.device)) throw terminalRevoked(certificate.device);
  if (nowS > certificate.expires_at_s || nowS < certificate.not_before_s - SKEW_S) throw certificateInvalid("not in date");
  if (certificate.role !== SHOP && certificate.role !== VALIDATOR) throw roleWrong(String(certificate.role));
  if (nowS > request.expires_at_s) throw requestExpired(`${nowS - request.expires_at_s} s late`);
  if (nowS < request.at_s - SKEW_S) throw fromFuture(`${request.at_s - nowS} s`);
}
