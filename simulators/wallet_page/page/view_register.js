// Before there is an account: what this is, and one button.

import { h } from "./dom.js";
import { t } from "./texts.js";

export function registerView(app) {
  const invitation = h("input", {
    id: "invitation", type: "text", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 32,
  });
  const register = app.press(async () => {
    await app.wallet.register(invitation.value.trim());
    app.go("home");
  });
  const nodes = [
    h("h1", {}, t("register.title")),
    h("p", {}, t("register.what")),
    h("p", {}, t("register.key")),
    h("form", { onsubmit: register },
      h("button", { class: "main", type: "submit" }, t("register.do")),
      h("details", {},
        h("summary", {}, t("register.has_code")),
        h("label", { for: "invitation" }, t("register.code")),
        invitation)),
  ];
  return { nodes };
}
