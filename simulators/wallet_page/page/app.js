// Puts the page together: opens the wallet, shows one screen at a time, tells other tabs' changes and lost networks.

import { h } from "./dom.js";
import { Store } from "./store.js";
import { hasText, loadTexts, otherLanguage, setLanguage, t } from "./texts.js";
import { answerView } from "./view_answer.js";
import { codeView } from "./view_code.js";
import { historyView } from "./view_history.js";
import { homeView } from "./view_home.js";
import { receiptView } from "./view_receipt.js";
import { registerView } from "./view_register.js";
import { requestView } from "./view_request.js";
import { scanView } from "./view_scan.js";
import { shopView } from "./view_shop.js";
import { Refusal, insecure } from "./refusal.js";
import { Wallet } from "./wallet.js";

const VIEWS = {
  home: homeView, code: codeView, shop: shopView, scan: scanView, request: requestView, answer: answerView,
  history: historyView, receipt: receiptView,
};
const LOOKED_UP_S = 600;
const CITY_NUMBERS_FROM = 4_000, READING_NUMBERS_TO = 1_100;
const screen = document.getElementById("screen");

class App {
  constructor(wallet) {
    this.wallet = wallet;
    this.data = null; // what a screen was given by the one before: a verified request, an answer, a receipt
    this.next = null;
    this.notice = null; // {title, remedy} above the next screen
    this.turn = 0;
    this.leave = () => {};
  }

  go(view, data = null, notice = null) {
    this.next = data;
    this.notice = notice;
    if (location.hash === `#${view}`) return this.arrive();
    location.hash = view;
    return undefined; // the new address draws it
  }

  arrive() {
    this.data = this.next;
    this.next = null;
    return this.draw();
  }

  // After something that took a while: the screen that it was pressed on, if people are still there.
  again(view) {
    return (location.hash.slice(1) || "home") === view ? this.draw() : undefined;
  }

  async draw() {
    this.leave();
    this.leave = () => {};
    const turn = (this.turn += 1);
    const state = await this.wallet.store.state();
    const view = !state?.registered ? registerView : VIEWS[location.hash.slice(1)] ?? homeView;
    const { nodes, drawn } = await view(this, state);
    if (turn !== this.turn) return; // another screen was asked for meanwhile
    screen.replaceChildren(...(this.notice ? [noticeBox(this.notice)] : []), ...nodes.filter((node) => node !== null));
    this.notice = null;
    screen.dataset.view = view.name;
    (screen.querySelector("[data-focus]") ?? screen).focus();
    await drawn?.();
  }

  // What went wrong, above the screen that it happened on; `box` where that screen has a place for it.
  fail(error, box = null) {
    const node = noticeBox(wordsFor(error));
    if (box) return box.replaceChildren(node);
    screen.querySelector(".notice")?.remove();
    screen.prepend(node);
    return undefined;
  }

  // For buttons: one press at a time, what fails is said.
  press(action, box = null) {
    return async (event) => {
      event?.preventDefault();
      if (screen.getAttribute("aria-busy") === "true") return;
      screen.setAttribute("aria-busy", "true");
      try {
        await action();
      } catch (error) {
        this.fail(error, box);
      } finally {
        screen.removeAttribute("aria-busy");
      }
    };
  }
}

export function wordsFor(error) {
  if (!(error instanceof Refusal)) console.error(error);
  const { key = "other", number = 0, detail = String(error) } = error instanceof Refusal ? error : {};
  const group = number && number < READING_NUMBERS_TO ? "unreadable" : number >= CITY_NUMBERS_FROM ? "city_fault" : "other";
  const name = hasText(`no.${key}`) ? key : group;
  return { title: t(`no.${name}`), remedy: t(`do.${name}`), small: number ? `${number} ${detail}` : "" };
}

function noticeBox({ title, remedy, small }) {
  const more = small ? h("p", { class: "small" }, small) : null;
  return h("div", { class: "notice", role: "alert" }, h("strong", {}, title), h("p", {}, remedy), more);
}

function showNetwork() {
  const line = document.getElementById("network");
  line.hidden = navigator.onLine;
  line.textContent = navigator.onLine ? "" : t("network.off");
}

function showLanguage() {
  document.getElementById("brand").textContent = t("brand");
  const button = document.getElementById("language");
  button.textContent = t("language.other");
  button.lang = otherLanguage();
  showNetwork();
}

async function start() {
  await loadTexts();
  if (!crypto.subtle) throw insecure();
  const wallet = new Wallet(await Store.open());
  const app = new App(wallet);
  const isDiscarded = await wallet.wake();
  if (isDiscarded) app.notice = { title: t("no.in_doubt"), remedy: t("do.in_doubt") };
  showLanguage();
  document.getElementById("language").addEventListener("click", () => {
    setLanguage(otherLanguage());
    showLanguage();
    app.draw();
  });
  for (const change of ["online", "offline"]) addEventListener(change, showNetwork);
  addEventListener("hashchange", () => app.arrive());
  wallet.store.onOtherTab(() => app.onOtherTab?.());
  await app.draw();
  document.documentElement.dataset.ready = "true";
  addEventListener("online", () => keepUp(app));
  keepUp(app);
  await keepFiles();
  await navigator.storage?.persist?.();
}

// For use without a network. A browser that was only clicked past a certificate's warning keeps none: it works online.
async function keepFiles() {
  try {
    await navigator.serviceWorker?.register("service_worker.js");
  } catch (error) {
    console.info(String(error));
  }
}

// Online: what the city says is looked up by itself when it is old, and an allowance that has ended is followed by another.
async function keepUp(app) {
  const { wallet } = app;
  const state = await wallet.store.state();
  if (!state?.registered || !navigator.onLine) return;
  const isOver = state.closing || !state.allowance || wallet.clock() > state.allowance.expires_at_s;
  if (!isOver && wallet.clock() - (state.balance?.at_s ?? 0) < LOOKED_UP_S) return;
  try {
    await (isOver ? wallet.renew() : wallet.refresh());
    await app.again("home");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error; // people ask again by the button, and are told then
  }
}

start().catch((error) => screen.replaceChildren(noticeBox(wordsFor(error))));
