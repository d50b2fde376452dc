// The wallet: registers, takes allowances, authorises. n and S are on the disk before a code is given out. DESIGN §2, §4.
//
// An intent keeps n, S, cap and audience however often its code is drawn anew; only the time changes. It ends when a new
// one is confirmed, or L after its first code. When in doubt about n and S the allowance is thrown away.

import { isEqual } from "./cbor.js";
import * as city from "./city.js";
import { CITY_OBJECT_BYTES_MAX, Kind, OBJECT_BYTES_MAX, externalAad, newKey, parseSign1, sign1, toHex } from "./cose.js";
import { ALLOWANCE, CLOSING, PAYMENT, PRESENTMENT, STATEMENT, WALLET_REQUEST } from "./objects.js";
import * as qr from "./qr_text.js";
import { Refusal, aCoupon, aPaymentCode, allowanceClosed, allowanceExpired, allowanceForged, allowanceMismatch, amountNotPositive,
  answerInvalid, capExceeded, intentEnded, noAllowance, notAReceipt, reserveExceeded } from "./refusal.js";
import { SIGNED, checkReceipt } from "./receipts.js";
import { checkInDate, readCertificate, readRequest } from "./requests.js";
import * as trust from "./trust.js";

export const TRANSIT = 1, IN_SHOP = 2, TWO_WAY = 0;
export const FRESH_S = 30;
export const INTENT_LIFE_S = 600; // L
export const RIDE_KGO = 5_000; // one full fare: also a terminal with lowered caps takes it (rules/limits.py)
const REGISTER = 1, TAKE = 2, STATE = 3, BALANCE = 4;
const IDENTITIES_MAX = 64; // codes of one intent: one each 15 s for L, and some for a screen that is opened again
const PAST_MAX = 4;

const nowS = () => Math.floor(Date.now() / 1000);

export class Wallet {
  // `clock`: Unix seconds.
  constructor(store, clock = nowS) {
    this.store = store;
    this.clock = clock;
  }

  // What is on the disk, made sure of: an allowance whose n and S are in doubt is thrown away. True: it was.
  async wake() {
    const made = await this.store.turn(async (state) => {
      if (!state?.allowance || !(await this.#isInDoubt(state))) return null;
      return { state: { ...state, ...withoutAllowance(state) } };
    });
    return Boolean(made);
  }

  async #isInDoubt(state) {
    if (this.store.isBehindItsMark(state)) return true;
    const { allowance, n, sum_kgo, authorised_kgo } = state;
    if (![n, sum_kgo, authorised_kgo].every((one) => Number.isSafeInteger(one) && one >= 0)) return true;
    if (!(allowance.key?.secret instanceof CryptoKey) || sum_kgo + authorised_kgo > allowance.reserve_kgo) return true;
    const signed = await parseSign1(allowance.raw, externalAad(Kind.ALLOWANCE, state.city));
    return toHex(signed.identity) !== allowance.name;
  }

  discard() {
    return this.store.turn((state) => ({ state: { ...state, ...withoutAllowance(state) } }));
  }

  // --- online

  // Opens an account, or finds the one of this key. The first trust list says which city this is.
  async register(invitation = "") {
    await this.store.turn(async (state) => (state ? null : { state: { ...EMPTY, account: await newKey() } }));
    await this.refreshTrust();
    const answer = await this.#ask(REGISTER, null, invitation);
    if (typeof answer.get(1) !== "number") throw answerInvalid("no balance");
    await this.store.turn((state) => ({ state: { ...state, registered: true } }));
    if (!(await this.store.state()).allowance) await this.takeAllowance();
    await this.#refreshSums();
  }

  async refreshTrust() {
    const { trust: held } = await this.store.state();
    const lists = await city.trustLists(held?.version ?? 0);
    const followed = await trust.follow(lists, held, held?.city ?? null);
    if (!followed) throw answerInvalid("no trust list");
    await this.store.turn((state) => {
      if (followed.version <= (state.trust?.version ?? 0)) return null; // also when another tab was faster
      return { state: { ...state, trust: followed, city: followed.city } };
    });
  }

  // A new allowance with a new key; n and S begin again. When its answer was lost, the same one comes.
  async takeAllowance() {
    await this.store.turn(async (state) => (state.next ? null : { state: { ...state, next: await newKey() } }));
    const state = await this.store.state();
    const isEarly = state.closing && state.allowance?.expires_at_s >= this.clock();
    const answer = await this.#ask(TAKE, state.next.point, "", isEarly ? state.closing : null);
    const allowance = await this.#readAllowance(answer.get(1), state);
    await this.store.turn((now) => {
      const key = now.next; // gone or another: a tab that was faster has this allowance, and counts under it already
      if (!key || !isEqual(key.point, allowance.wallet_point)) return null;
      return { state: { ...now, ...withoutAllowance(now), allowance: { ...allowance, key }, next: null } };
    });
  }

  async #readAllowance(raw, state) {
    if (!(raw instanceof Uint8Array)) throw answerInvalid("no allowance");
    const signed = await parseSign1(raw, externalAad(Kind.ALLOWANCE, state.city));
    const allowance = ALLOWANCE.decode(signed.payload, OBJECT_BYTES_MAX);
    await trust.verify(state.trust, signed, trust.ALLOWANCE_ISSUER, allowance.not_before_s, allowanceForged);
    if (allowance.city !== state.city || !isEqual(allowance.wallet_point, state.next.point)) throw allowanceForged("not ours");
    return { ...allowance, raw, hash: signed.identity, name: toHex(signed.identity) };
  }

  // Before the allowance at hand expires: closes it, so that what it leaves moves to the new one at once. Where the one
  // before it is unexpired too the city gives no third: then nothing is closed, and it says so. None at hand: takes one.
  async renew() {
    await this.refreshTrust();
    await this.store.turn(async (state) => {
      const { allowance, closing, before_until_s } = state;
      if (!allowance || closing || allowance.expires_at_s < this.clock() || before_until_s >= this.clock()) return null;
      const said = { allowance_hash: allowance.hash, last_n: state.n, final_sum_kgo: state.sum_kgo + state.authorised_kgo };
      const signed = await sign1(CLOSING.encode(said), externalAad(Kind.CLOSING, state.city), allowance.key);
      return { state: { ...state, closing: signed.raw } };
    });
    await this.takeAllowance();
    await this.#refreshSums();
  }

  // The city's keys, the balance, and what the city says that each code was charged.
  async refresh() {
    await this.refreshTrust();
    await this.#refreshSums();
  }

  async #refreshSums() {
    const answer = await this.#ask(BALANCE);
    const [available_kgo, reserved_kgo] = [answer.get(1), answer.get(2)];
    if (typeof available_kgo !== "number" || typeof reserved_kgo !== "number") throw answerInvalid("no balance");
    const balance = { available_kgo, reserved_kgo, at_s: this.clock() };
    await this.store.turn((state) => ({ state: { ...state, balance } }));
    const { allowance, past } = await this.store.state();
    for (const one of [allowance, ...past]) if (one) await this.#fetchStatement(one);
  }

  async #fetchStatement({ name, wallet_point }) {
    const raw = (await this.#ask(STATE, wallet_point)).get(1);
    if (!(raw instanceof Uint8Array)) return;
    const { city: ours, trust: list } = await this.store.state();
    const signed = await parseSign1(raw, externalAad(Kind.STATEMENT, ours), CITY_OBJECT_BYTES_MAX);
    const statement = STATEMENT.decode(signed.payload, CITY_OBJECT_BYTES_MAX);
    await trust.verify(list, signed, trust.ACK, statement.issued_at_s, answerInvalid);
    if (toHex(statement.allowance_hash) !== name) throw answerInvalid("a statement of another allowance");
    const charges = new Map(statement.charges);
    await this.store.turn(async (state) => {
      const history = (await this.store.history())
        .filter((line) => line.allowance === name && charges.has(line.n) && line.charged_kgo !== charges.get(line.n))
        .map((line) => stated(line, charges.get(line.n), statement.issued_at_s));
      return history.length ? { state: { ...state }, history } : null;
    });
  }

  async #ask(what, walletPoint = null, invitation = "", closing = null) {
    const { account, city: ours } = await this.store.state();
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const point = walletPoint ?? account.point;
    const asked = { what, account_point: account.point, wallet_point: point, nonce, at_s: this.clock(), closing };
    const signed = await sign1(WALLET_REQUEST.encode(asked), externalAad(Kind.WALLET_REQUEST, ours), account);
    return city.ask(signed.raw, invitation);
  }

  // --- codes that are shown: a ride, or an amount that the customer confirmed

  // "New ride", "another passenger", a confirmed sale: n + 1, and S grows by what the intent before authorised.
  newIntent(audience, capKgo) {
    return this.store.turn((state) => {
      const at_s = this.clock();
      this.#checkOpen(state, at_s, capKgo);
      const most = audience === TRANSIT ? state.allowance.transit_cap_kgo : state.allowance.shop_cap_kgo;
      if (capKgo > most) throw capExceeded();
      const next = { ...grown(state), authorised_kgo: capKgo, audience };
      const line = { id: lineId(next), allowance: next.allowance.name, n: next.n, kind: audience, kgo: capKgo, at_s };
      return { state: next, history: [{ ...line, identities: [] }] };
    });
  }

  #checkOpen(state, at_s, kgo) {
    if (!state?.allowance) throw noAllowance();
    if (state.closing) throw allowanceClosed();
    if (at_s > state.allowance.expires_at_s) throw allowanceExpired();
    if (!Number.isSafeInteger(kgo) || kgo <= 0) throw amountNotPositive();
    if (kgo > leftKgo(state)) throw reserveExceeded();
  }

  // The code of the current intent: {text, n, kgo, audience, ends_in_s}. Its age is all the time that ran forward, so
  // that a clock that steps back gives it no longer life.
  async code() {
    let text = "";
    const made = await this.store.turn(async (state) => {
      if (!isShowable(state)) throw intentEnded();
      const at_s = this.clock();
      const passed_s = state.code_at_s === null ? 0 : Math.max(0, at_s - state.code_at_s);
      const next = { ...state, code_at_s: at_s, intent_age_s: state.intent_age_s + passed_s };
      if (next.intent_age_s >= INTENT_LIFE_S) return { state: next };
      if (at_s > state.allowance.expires_at_s) throw allowanceExpired();
      const { allowance, n, sum_kgo, authorised_kgo: cap_kgo, audience } = next;
      const said = { allowance_hash: allowance.hash, n, sum_kgo, cap_kgo, audience, at_s, valid_s: FRESH_S };
      const signed = await sign1(PRESENTMENT.encode(said), externalAad(Kind.PRESENTMENT, state.city), allowance.key);
      text = qr.encode(qr.PRESENTMENT, allowance.raw, signed.raw);
      const line = (await this.store.history()).find((one) => one.id === lineId(next));
      const shown = line && { ...line, identities: [...line.identities, toHex(signed.identity)].slice(-IDENTITIES_MAX) };
      return { state: next, history: shown ? [shown] : [] };
    });
    if (!text) throw intentEnded();
    const { n, authorised_kgo: kgo, audience, intent_age_s } = made.state;
    return { text, n, kgo, audience, ends_in_s: INTENT_LIFE_S - intent_age_s };
  }

  // --- payment requests

  // What a scanned text is: {type, request…} verified, or {type, receipt…}. Anything else is refused by its name.
  async read(text) {
    const code = qr.decode(text);
    if (code.type === qr.REQUEST) return { type: qr.REQUEST, ...(await this.#judge(code.objects)) };
    if (code.type === qr.RECEIPT) return { type: qr.RECEIPT, ...(await this.receipt(text)) };
    throw code.type === qr.COUPON ? aCoupon() : aPaymentCode();
  }

  async #judge(objects) {
    const state = await this.store.state();
    if (!state?.trust) throw noAllowance();
    const asked = await readRequest(objects, state.trust);
    const answered = await this.store.payment(asked.name);
    if (!answered) this.#checkPayable(asked, state);
    return { ...asked, answered };
  }

  #checkPayable(asked, state) {
    checkInDate(asked, state.trust, this.clock());
    this.#checkOpen(state, this.clock(), asked.request.amount_kgo);
    const { pass_id } = asked.request;
    if (pass_id && !isEqual(pass_id, state.allowance.pass_id)) throw allowanceMismatch("put to another pass");
  }

  // The answer to a request that the customer confirmed: n, S and the signed bytes in one transaction, then given out.
  // Asked again for the same request: the same bytes.
  async pay(asked) {
    let text = "";
    await this.store.turn(async (state) => {
      const answered = await this.store.payment(asked.name);
      if (answered) {
        text = answered.text;
        return null;
      }
      this.#checkPayable(asked, state);
      const at_s = this.clock();
      const { amount_kgo, amount_satang: satang, owner, device, what_for } = asked.request;
      const next = { ...grown(state), authorised_kgo: amount_kgo, audience: TWO_WAY };
      const { allowance, n, sum_kgo } = next;
      const said = { allowance_hash: allowance.hash, n, sum_kgo, request_hash: asked.identity, amount_kgo, at_s };
      const signed = await sign1(PAYMENT.encode(said), externalAad(Kind.PAYMENT, state.city), allowance.key);
      text = qr.encode(qr.PAYMENT, allowance.raw, signed.raw);
      const line = { id: lineId(next), allowance: allowance.name, n, kind: TWO_WAY, kgo: amount_kgo, at_s };
      return {
        state: next,
        payment: { request: asked.name, text, n, allowance: allowance.name, at_s },
        history: [{ ...line, identities: [toHex(signed.identity)], owner, device, what_for, satang }],
        certificate: { device, raw: asked.certificateRaw },
      };
    });
    return text;
  }

  async receipt(text) {
    const code = qr.decode(text);
    if (code.type !== qr.RECEIPT) throw notAReceipt();
    const state = await this.store.state();
    const checked = await checkReceipt(code.objects[0], state, this.store);
    if (checked.signature === SIGNED || !(await this.#fetchCertificate(checked.voucher.device, state))) return checked;
    return checkReceipt(code.objects[0], state, this.store);
  }

  // Of a terminal that this wallet has not met: the city gives it out to anybody. False: not now, or not this one's.
  async #fetchCertificate(device, state) {
    try {
      const raw = await city.certificate(device);
      if ((await readCertificate(raw, state.trust)).device !== device) return false;
      await this.store.turn((now) => ({ state: { ...now }, certificate: { device, raw } }));
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }
}

const EMPTY = {
  revision: 0, city: "", registered: false, account: null, next: null, trust: null, allowance: null, n: 0, sum_kgo: 0,
  authorised_kgo: 0, audience: TWO_WAY, code_at_s: null, intent_age_s: 0, closing: null, before_until_s: 0, past: [],
  balance: null,
};

const lineId = (state) => `${state.allowance.name}.${state.n}`;

// The state of the next intent, before it is said what it authorises.
const grown = (state) => ({
  ...state, n: state.n + 1, sum_kgo: state.sum_kgo + state.authorised_kgo, code_at_s: null, intent_age_s: 0,
});

// A line with what the city says now, and the most that it ever said: what is less than that came back.
function stated(line, charged_kgo, stated_at_s) {
  const most_kgo = Math.max(line.most_kgo ?? line.charged_kgo ?? 0, charged_kgo);
  return { ...line, charged_kgo, most_kgo, stated_at_s };
}

// The members that end with an allowance. What is left of it is kept to ask for its statement.
const withoutAllowance = ({ allowance, past }) => ({
  allowance: null, n: 0, sum_kgo: 0, authorised_kgo: 0, audience: TWO_WAY, code_at_s: null, intent_age_s: 0, closing: null,
  before_until_s: allowance?.expires_at_s ?? 0,
  past: (allowance ? [{ name: allowance.name, wallet_point: allowance.wallet_point }, ...past] : past).slice(0, PAST_MAX),
});

export const leftKgo = (state) => state.allowance.reserve_kgo - state.sum_kgo - state.authorised_kgo;

// Whether there is an intent that has a code: a payment has its own answer.
export const isShowable = (state) =>
  Boolean(state?.allowance && state.n && state.audience !== TWO_WAY && state.intent_age_s < INTENT_LIFE_S);
