// What was authorised, newest first, and what the city's statement says that it cost.

import { h, icon } from "./dom.js";
import { dateAndTime, money, t } from "./texts.js";
import { IN_SHOP, TRANSIT } from "./wallet.js";

const KINDS = { [TRANSIT]: ["bus", "history.ride"], [IN_SHOP]: ["shop", "history.shop"] };
const SHOWN_MAX = 100;

export async function historyView(app) {
  const lines = (await app.wallet.store.history()).slice(0, SHOWN_MAX);
  const nodes = [
    h("a", { class: "back", href: "#home" }, t("back")),
    h("h1", {}, t("history.title")),
    lines.length ? h("ol", { class: "history" }, lines.map(row)) : h("p", {}, t("history.none")),
    h("p", { class: "small" }, t("history.what")),
  ];
  return { nodes };
}

function row(line) {
  const [name, key] = KINDS[line.kind] ?? ["scan", "history.payment"];
  const isStated = line.charged_kgo !== undefined;
  return h("li", {},
    icon(name),
    h("div", {},
      h("b", {}, t(key)), line.owner ? ` ${line.owner}` : "",
      h("p", { class: "small" }, dateAndTime(line.at_s)),
      h("p", { class: isStated ? "stated" : "small" },
        isStated ? t("history.charged", { kgo: money(line.charged_kgo) }) : t("history.waits"))),
    h("span", { class: "amount" }, money(line.kgo)));
}
