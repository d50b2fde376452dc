// Why something was refused: the number and key of offline_ledger/errors.py, and a detail for people who look closer.

export class Refusal extends Error {
  constructor(number, key, detail = "") {
    super(`${number} ${key}${detail ? `: ${detail}` : ""}`);
    this.number = number;
    this.key = key;
    this.detail = detail;
  }
}

const kind = (number, key) => (detail = "") => new Refusal(number, key, detail);

// reading
export const tooLarge = kind(1001, "too_large");
export const notOurCode = kind(1002, "not_our_code");
export const codeDamaged = kind(1003, "code_damaged");
export const malformed = kind(1004, "malformed");
export const notCanonical = kind(1005, "not_canonical");
export const duplicateKey = kind(1006, "duplicate_key");
export const unknownKey = kind(1007, "unknown_key");
export const unknownAlgorithm = kind(1008, "unknown_algorithm");
export const trailingBytes = kind(1009, "trailing_bytes");
export const unprotectedHeader = kind(1010, "unprotected_header");
export const wrongCodeType = kind(1011, "wrong_code_type");
export const outOfRange = kind(1012, "value_out_of_range");

// the city's keys and what they signed
export const unknownCity = kind(1101, "unknown_city");
export const unknownIssuer = kind(1102, "unknown_issuer");
export const allowanceForged = kind(1103, "allowance_forged");
export const issuerRoleWrong = kind(1104, "issuer_role_wrong");
export const allowanceExpired = kind(1106, "allowance_expired");
export const issuerKeyExpired = kind(1107, "issuer_key_expired");
export const certificateInvalid = kind(1108, "device_certificate_invalid");
export const terminalRevoked = kind(1109, "terminal_revoked");
export const roleWrong = kind(1110, "device_role_wrong");
export const trustBroken = kind(3006, "trust_chain_broken");
export const answerInvalid = kind(3003, "answer_invalid");

// requests and what this wallet may still authorise
export const allowanceMismatch = kind(1202, "allowance_mismatch");
export const requestForged = kind(1206, "request_mismatch");
export const requestExpired = kind(1207, "request_expired");
export const fromFuture = kind(1302, "code_from_future");
export const capExceeded = kind(1503, "one_way_cap_exceeded");
export const reserveExceeded = kind(1506, "reserve_exceeded");
export const amountNotPositive = kind(1702, "amount_not_positive");
export const receiptForged = kind(4004, "voucher_signature_wrong");

// of this wallet alone: 0 is no number that a terminal or the city says
export const offline = kind(0, "offline");
export const noAllowance = kind(0, "no_allowance");
export const allowanceClosed = kind(0, "allowance_closed_here");
export const intentEnded = kind(0, "intent_ended");
export const otherTab = kind(0, "other_tab");
export const storageFailed = kind(0, "storage_failed_here");
export const insecure = kind(0, "insecure");
export const cameraMissing = kind(0, "camera_missing");
export const notAReceipt = kind(0, "not_a_receipt");
export const receiptUnknown = kind(0, "receipt_unknown");
export const aPaymentCode = kind(0, "a_payment_code");
export const aCoupon = kind(0, "a_coupon");
