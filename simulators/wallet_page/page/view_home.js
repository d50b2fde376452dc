// What is there to spend, until when, and the ways to spend it.

import { h, icon } from "./dom.js";
import { dateAndTime, money, t } from "./texts.js";
import { newRide } from "./view_code.js";
import { TRANSIT, isShowable, leftKgo } from "./wallet.js";

export function homeView(app, state) {
  const { allowance, balance } = state;
  const isOver = !allowance || app.wallet.clock() > allowance.expires_at_s;
  const kgo = isOver ? 0 : leftKgo(state);
  const renew = app.press(async () => {
    await app.wallet.renew();
    await app.again("home");
  });
  const refresh = app.press(async () => {
    await app.wallet.refresh();
    await app.again("home");
  });
  const discard = app.press(async () => {
    await app.wallet.discard();
    app.go("home", null, { title: t("no.in_doubt"), remedy: t("do.in_doubt") });
  });
  const hasRide = isShowable(state) && state.audience === TRANSIT;
  const ride = app.press(async () => {
    if (!hasRide) await newRide(app.wallet); // reopening the screen keeps n
    app.go("code");
  });
  const nodes = [
    h("h1", { class: "hidden" }, t("home.title")),
    h("section", { class: "purse" },
      h("p", {}, t("home.left")),
      h("p", { class: "sum" }, h("b", { id: "left" }, money(kgo)), " KGO"),
      h("p", { id: "until" }, isOver ? t("home.over") : t("home.until", { time: dateAndTime(allowance.expires_at_s) })),
      balance ? h("p", { class: "small" }, t("home.balance", {
        available: money(balance.available_kgo), reserved: money(balance.reserved_kgo), time: dateAndTime(balance.at_s),
      })) : null),
    isOver ? h("button", { class: "main", type: "button", onclick: renew }, t("home.take")) : null,
    h("nav", { class: "tiles", "aria-label": t("home.ways") },
      h("button", { class: "tile", type: "button", id: "ride", onclick: ride }, inside("bus", "home.ride", t(hasRide ? "home.again" : "home.ride_what"))),
      tile("shop", "home.shop", "#shop", t("home.shop_what")),
      tile("scan", "home.scan", "#scan", t("home.scan_what")),
      tile("list", "home.history", "#history", t("home.history_what")),
      tile("receipt", "home.receipt", "#receipt", t("home.receipt_what"))),
    h("div", { class: "row" },
      h("button", { type: "button", onclick: refresh }, t("home.refresh")),
      isOver ? null : h("button", { type: "button", onclick: renew }, t("home.renew"))),
    h("details", {},
      h("summary", {}, t("home.more")),
      h("p", {}, t("home.discard_what")),
      h("button", { type: "button", onclick: discard }, t("home.discard"))),
  ];
  return { nodes };
}

function inside(name, key, what) {
  return [icon(name), h("span", {}, h("b", {}, t(key)), h("small", {}, what))];
}

function tile(name, key, href, what) {
  return h("a", { class: "tile", href }, inside(name, key, what));
}
