// A receipt's code: whether its terminal signed it, whether it was paid by this wallet, and what the city charged. A
// statement says what a code cost in the end: less than the receipt is no alarm, for a part may have come back.

import { h, icon } from "./dom.js";
import { SIGNED } from "./receipts.js";
import { dateAndTime, hasText, money, t } from "./texts.js";
import { scanner } from "./view_scan.js";

export function receiptView(app) {
  if (!app.data?.voucher) return scanner(app, "receipt.title", "receipt.what");
  const { voucher, signature, line } = app.data;
  const kind = hasText(`receipt.kind.${voucher.kind}`) ? t(`receipt.kind.${voucher.kind}`) : String(voucher.kind);
  const nodes = [
    h("a", { class: "back", href: "#home" }, t("back")),
    h("h1", {}, t("receipt.title")),
    verdict(signature === SIGNED ? "good" : "wait", signature === SIGNED ? "receipt.signed" : "receipt.unknown"),
    verdict(line ? "good" : "wait", line ? "receipt.ours" : "receipt.not_ours"),
    line ? charged(voucher, line) : null,
    h("dl", { class: "facts" },
      h("dt", {}, t("receipt.kind")), h("dd", {}, kind),
      h("dt", {}, t("request.device")), h("dd", { id: "device" }, voucher.device),
      h("dt", {}, t("receipt.number")), h("dd", {}, String(voucher.sequence)),
      h("dt", {}, t("request.kgo")), h("dd", { class: "sum", id: "kgo" }, `${money(voucher.kgo)} KGO`),
      h("dt", {}, t("request.baht")), h("dd", {}, `${money(voucher.satang)} ฿`),
      h("dt", {}, t("receipt.time")), h("dd", {}, dateAndTime(voucher.at_s))),
    h("button", { type: "button", onclick: () => app.go("receipt") }, t("receipt.another")),
  ];
  return { nodes };
}

function charged({ kgo: paid }, { charged_kgo: kgo, most_kgo: most }) {
  if (kgo === undefined) return verdict("wait", "receipt.not_stated");
  const said = { kgo: money(kgo), paid: money(paid), less: money(paid - kgo) };
  if (kgo > paid) return verdict("bad", "receipt.more", said);
  if (kgo === paid) return verdict("good", "receipt.agrees", said);
  return verdict("good", most === paid ? "receipt.came_back" : "receipt.less", said);
}

function verdict(sign, key, values = {}) {
  return h("p", { class: `verdict ${sign}` }, icon(sign), t(key, values));
}
