// A shop's small amount: what the customer confirms is the cap, and the shop may charge exactly that.

import { h } from "./dom.js";
import { money, parseMoney, t } from "./texts.js";
import { amountNotPositive } from "./refusal.js";
import { IN_SHOP } from "./wallet.js";

export function shopView(app, state) {
  const input = h("input", {
    id: "amount", type: "text", inputmode: "decimal", autocomplete: "off", maxlength: 10, "data-focus": true,
    "aria-describedby": "most",
  });
  const confirm = h("button", { class: "main", type: "submit" }, t("shop.confirm", { kgo: money(0) }));
  input.addEventListener("input", () => {
    confirm.textContent = t("shop.confirm", { kgo: money(parseMoney(input.value) ?? 0) });
  });
  const submit = app.press(async () => {
    const kgo = parseMoney(input.value);
    if (kgo === null) throw amountNotPositive();
    await app.wallet.newIntent(IN_SHOP, kgo);
    app.go("code");
  });
  const nodes = [
    h("a", { class: "back", href: "#home" }, t("back")),
    h("h1", {}, t("shop.title")),
    h("form", { onsubmit: submit },
      h("label", { for: "amount" }, t("shop.amount")),
      input,
      h("p", { id: "most", class: "small" }, t("shop.most", { kgo: money(state.allowance?.shop_cap_kgo ?? 0) })),
      confirm),
    h("p", {}, t("shop.above")),
    h("a", { class: "button", href: "#scan" }, t("home.scan")),
  ];
  return { nodes };
}
