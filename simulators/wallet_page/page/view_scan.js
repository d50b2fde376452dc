// The camera, for a shop's payment request or a receipt; a picture does as well.

import { h } from "./dom.js";
import { RECEIPT } from "./qr_text.js";
import { codeDamaged } from "./refusal.js";
import { Camera, textInPicture } from "./scan.js";
import { t } from "./texts.js";

export const scanView = (app) => scanner(app, "scan.title", "scan.what");

// One text is judged once, however long it is held up; a request or a receipt opens its own screen. From then on nothing
// that was found here opens another: it would put another shop's request under the finger that confirms the first.
export function scanner(app, title, what) {
  const box = h("div", { class: "said" });
  const video = h("video", { id: "camera", muted: true, playsinline: true, "aria-label": t("scan.camera") });
  const picture = h("input", { id: "picture", type: "file", accept: "image/*", class: "hidden" });
  let last = null, isOver = false;
  const found = async (text) => {
    if (isOver || text === last) return isOver;
    last = text;
    try {
      const read = await app.wallet.read(text);
      if (isOver) return true;
      isOver = true;
      app.go(read.type === RECEIPT ? "receipt" : read.answered ? "answer" : "request", read);
      return true;
    } catch (error) {
      if (!isOver) app.fail(error, box);
      return isOver;
    }
  };
  const camera = new Camera(video, found);
  const look = (file) => isOver ? undefined : app.press(async () => {
    const text = await textInPicture(file);
    last = null;
    if (!text) throw codeDamaged("no code in this picture");
    await found(text);
  }, box)();
  let looked = Promise.resolve();
  picture.addEventListener("change", () => {
    const [file] = picture.files;
    if (!file) return;
    picture.value = ""; // the same name again is a new choice
    box.replaceChildren();
    looked = looked.then(() => look(file)); // one that is chosen meanwhile waits, and is read too
  });
  const drawn = () => {
    app.leave = () => {
      isOver = true;
      camera.stop();
    };
    camera.start().catch((error) => app.fail(error, box));
  };
  const nodes = [
    h("a", { class: "back", href: "#home" }, t("back")),
    h("h1", {}, t(title)),
    h("p", {}, t(what)),
    box,
    h("div", { class: "finder" }, video),
    picture,
    h("label", { class: "button", for: "picture" }, t("scan.picture")),
  ];
  return { nodes, drawn };
}
