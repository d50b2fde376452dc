// The code of the current intent, drawn anew while it is looked at. n and S are on the disk before it is drawn.

import { h } from "./dom.js";
import { drawCode } from "./draw.js";
import { money, t } from "./texts.js";
import { RIDE_KGO, TRANSIT, isShowable, leftKgo } from "./wallet.js";

const RENEW_S = 15; // half of the 30 s that a code is good for: never shown with less than half of its life left
const TICK_MS = 250;

export function codeView(app, state) {
  const { wallet } = app;
  const again = (title) => app.press(async () => {
    await newRide(wallet);
    app.go("code", null, title && { title, remedy: t("code.new_what") });
  });
  const rides = [h("button", { type: "button", id: "new-ride", onclick: again() }, t("code.new_ride"))];
  if (!isShowable(state)) {
    return { nodes: [back(), h("h1", {}, t("no.intent_ended")), h("p", {}, t("do.intent_ended")), ...rides] };
  }
  const isRide = state.audience === TRANSIT;
  rides.push(h("button", { type: "button", id: "companion", onclick: again(t("code.companion_title")) }, t("code.companion")));
  const canvas = h("canvas", { id: "code" });
  const line = h("p", { id: "renews", role: "timer" });
  const nodes = [
    back(),
    h("h1", {}, t(isRide ? "code.ride" : "code.shop")),
    h("div", { class: "paper" }, canvas),
    h("p", { class: "sum" }, t(isRide ? "code.up_to" : "code.exactly"), " ", h("b", { id: "kgo" }, money(state.authorised_kgo)), " KGO"),
    line,
    h("div", { class: "row" }, isRide ? rides : h("a", { class: "button", href: "#shop" }, t("code.new_sale"))),
  ];
  return { nodes, drawn: () => keepFresh(app, canvas, line) };
}

const back = () => h("a", { class: "back", href: "#home" }, t("back"));

// A ride costs less than its cap as a rule: what is left may well do.
export async function newRide(wallet) {
  const state = await wallet.store.state();
  const left = state.allowance ? leftKgo(state) : 0;
  const most = Math.min(RIDE_KGO, state.allowance?.transit_cap_kgo ?? RIDE_KGO);
  await wallet.newIntent(TRANSIT, left > 0 ? Math.min(most, left) : most);
}

async function keepFresh(app, canvas, line) {
  let shownN = null, drawnAtMs = 0, isOver = false, isDrawing = false;
  const draw = async () => {
    if (isDrawing || isOver) return;
    isDrawing = true;
    try {
      const code = await app.wallet.code();
      if (shownN !== null && code.n !== shownN) return tellElsewhere(app);
      if (isOver) return;
      shownN = code.n;
      canvas.dataset.n = code.n;
      drawCode(canvas, code.text, t("code.label", { kgo: money(code.kgo), n: code.n }));
      drawnAtMs = Date.now();
    } catch (error) {
      isOver = true;
      canvas.hidden = true;
      line.textContent = "";
      app.fail(error);
    } finally {
      isDrawing = false;
    }
  };
  const tick = async () => {
    if (isOver || document.hidden) return;
    const ageMs = Date.now() - drawnAtMs;
    if (ageMs < 0 || ageMs >= RENEW_S * 1_000) await draw();
    else line.textContent = t("code.renews", { seconds: RENEW_S - Math.floor(ageMs / 1_000) });
  };
  const timer = setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", tick);
  app.onOtherTab = async () => {
    const state = await app.wallet.store.state();
    if (!isOver && shownN !== null && (state?.n !== shownN || !isShowable(state))) tellElsewhere(app);
  };
  let wake = null;
  app.leave = () => {
    isOver = true;
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tick);
    app.onOtherTab = null;
    wake?.release().catch(() => {});
  };
  await draw();
  wake = await navigator.wakeLock?.request("screen").catch(() => null);
}

// Another tab of this wallet has begun a new intent: this one's code is over.
function tellElsewhere(app) {
  app.go("home", null, { title: t("code.elsewhere"), remedy: t("code.elsewhere_what") });
}
