// The payment as a code, for the shop's scanner: the stored bytes, however often it is shown.

import { h } from "./dom.js";
import { drawCode } from "./draw.js";
import { money, t } from "./texts.js";

export function answerView(app) {
  const { request, certificate, answered } = app.data ?? {};
  if (!answered) return { nodes: [], drawn: () => app.go("home") };
  const canvas = h("canvas", { id: "code" });
  const label = t("answer.label", { kgo: money(request.amount_kgo), owner: certificate.owner });
  const drawn = () => drawCode(canvas, answered.text, label);
  const nodes = [
    h("h1", {}, t("answer.title")),
    h("div", { class: "paper" }, canvas),
    h("p", { class: "sum" }, h("b", { id: "kgo" }, money(request.amount_kgo)), " KGO → ", certificate.owner),
    h("p", {}, t(answered.at_s ? "answer.again" : "answer.what")),
    h("a", { class: "button", href: "#home" }, t("answer.done")),
  ];
  return { nodes, drawn };
}
