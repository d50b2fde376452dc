// A verified request: who asks, for how much. Nothing is signed before the button is pressed.

import { h, icon } from "./dom.js";
import { VALIDATOR } from "./requests.js";
import { clockTime, money, t } from "./texts.js";
import { leftKgo } from "./wallet.js";

const PLAIN = "plain"; // an ordinary sale, under no campaign

export function requestView(app, state) {
  const asked = app.data;
  if (!asked?.request) return { nodes: [], drawn: () => app.go("home") };
  const { certificate, request } = asked;
  const confirm = app.press(async () => {
    const text = await app.wallet.pay(asked);
    app.go("answer", { ...asked, answered: { text } });
  });
  const nodes = [
    h("h1", {}, t("request.title")),
    h("p", { class: "verified" }, icon("good"), t("request.verified")),
    h("dl", { class: "facts" },
      h("dt", {}, t(certificate.role === VALIDATOR ? "request.operator" : "request.shop")), h("dd", { id: "owner" }, certificate.owner),
      h("dt", {}, t("request.device")), h("dd", { id: "device" }, certificate.device),
      request.what_for === PLAIN ? null : [h("dt", {}, t("request.what_for")), h("dd", {}, request.what_for)],
      h("dt", {}, t("request.kgo")), h("dd", { class: "sum", id: "kgo" }, `${money(request.amount_kgo)} KGO`),
      request.amount_satang ? [h("dt", {}, t("request.baht")), h("dd", {}, `${money(request.amount_satang)} ฿`)] : null,
      h("dt", {}, t("request.after")), h("dd", {}, `${money(leftKgo(state) - request.amount_kgo)} KGO`),
      h("dt", {}, t("request.until")), h("dd", {}, clockTime(request.expires_at_s))),
    h("button", { class: "main", type: "button", id: "confirm", onclick: confirm },
      t("request.confirm", { kgo: money(request.amount_kgo) })),
    h("a", { class: "button", href: "#home" }, t("request.no")),
  ];
  return { nodes };
}
