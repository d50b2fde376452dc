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
