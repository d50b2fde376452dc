// What must survive: one IndexedDB, every change one transaction that is on the disk before the caller goes on.
//
// Tabs take turns by a lock of the browser, and a revision beside the state is compared inside the transaction: should
// the lock fail, the later of two writers is refused. Nothing of it is ever backed up or sent.

import { otherTab, storageFailed } from "./refusal.js";

const NAME = "kgo-wallet", VERSION = 1;
const STATE = "state", PAYMENTS = "payments", HISTORY = "history", CERTIFICATES = "certificates";
const WALLET = "wallet";
const HISTORY_MAX = 500, PAYMENTS_MAX = 500, CERTIFICATES_MAX = 200;
const MARK = "kgo-mark";

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(storageFailed(String(request.error)));
});

export class Store {
  static async open() {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore(STATE);
      db.createObjectStore(PAYMENTS, { keyPath: "request" }).createIndex("order", "order");
      db.createObjectStore(HISTORY, { keyPath: "id" }).createIndex("order", "order");
      db.createObjectStore(CERTIFICATES, { keyPath: "device" }).createIndex("order", "order");
    };
    const db = await done(request);
    db.onversionchange = () => db.close();
    return new Store(db);
  }

  constructor(db) {
    this.db = db;
    this.channel = new BroadcastChannel(NAME);
  }

  onOtherTab(listen) {
    this.channel.onmessage = listen;
  }

  #read(name, ask) {
    return done(ask(this.db.transaction(name).objectStore(name)));
  }

  state() {
    return this.#read(STATE, (store) => store.get(WALLET));
  }

  payment(request) {
    return this.#read(PAYMENTS, (store) => store.get(request));
  }

  certificate(device) {
    return this.#read(CERTIFICATES, (store) => store.get(device));
  }

  async history() {
    const found = await this.#read(HISTORY, (store) => store.index("order").getAll());
    return found.reverse();
  }

  // One turn: `step(state)` says what changes: {state, payment, history: [...], certificate}, or nothing.
  // Resolves when all of it is on the disk. A power cut before that leaves everything as it was.
  async turn(step) {
    return navigator.locks.request(NAME, async () => {
      const before = await this.state();
      const made = await step(before);
      if (made?.state) await this.#commit(before?.revision ?? 0, made);
      return made;
    });
  }

  async #commit(revision, made) {
    const names = [STATE, PAYMENTS, HISTORY, CERTIFICATES];
    const writing = this.db.transaction(names, "readwrite", { durability: "strict" });
    let isRaced = false;
    const over = new Promise((resolve, reject) => {
      writing.oncomplete = resolve;
      writing.onabort = () => reject(isRaced ? otherTab() : storageFailed(String(writing.error)));
    });
    over.catch(() => {});
    const held = await done(writing.objectStore(STATE).get(WALLET));
    if ((held?.revision ?? 0) !== revision) {
      isRaced = true;
      writing.abort();
    } else {
      made.state.revision = revision + 1;
      writing.objectStore(STATE).put(made.state, WALLET);
      if (made.payment) add(writing.objectStore(PAYMENTS), made.payment, revision, PAYMENTS_MAX);
      if (made.certificate) add(writing.objectStore(CERTIFICATES), made.certificate, revision, CERTIFICATES_MAX);
      for (const line of made.history ?? []) add(writing.objectStore(HISTORY), line, revision, HISTORY_MAX);
    }
    await over;
    this.#mark(made.state);
    this.channel.postMessage(made.state.revision);
  }

  // Beside the database: a state from an older copy of it is found by being behind its mark.
  #mark(state) {
    const said = state.allowance ? [state.allowance.name, state.n, state.sum_kgo + state.authorised_kgo] : null;
    localStorage.setItem(MARK, JSON.stringify(said));
  }

  isBehindItsMark(state) {
    let marked = null;
    try {
      marked = JSON.parse(localStorage.getItem(MARK));
    } catch {
      return true;
    }
    if (!Array.isArray(marked) || !state?.allowance || marked[0] !== state.allowance.name) return false;
    return marked[1] > state.n || marked[2] > state.sum_kgo + state.authorised_kgo;
  }
}

// Puts a row and forgets the oldest of too many. Rows that exist keep their place.
function add(store, row, revision, rowsMax) {
  store.put({ ...row, order: row.order ?? revision + 1 });
  const counted = store.count();
  counted.onsuccess = () => {
    if (counted.result <= rowsMax) return;
    const oldest = store.index("order").openKeyCursor();
    oldest.onsuccess = () => oldest.result && store.delete(oldest.result.primaryKey);
  };
}
