"use strict";
// Letters on the screen for a till without a keyboard: Thai (Kedmanee) and English, for the field that asked for them.
// What they type goes the way of keys (`put`). They stand beside #screen, so no swap touches them. Decision 0198.
const LAYOUTS = { // by the places of a keyboard: each row, plain and shifted
  th: [["_ๅ/-ภถุึคตจขช", "ๆไำพะัีรนยบลฃ", "ฟหกดเ้่าสวง", "ผปแอิืทมใฝ"],
    ["%+๑๒๓๔ู฿๕๖๗๘๙", "๐\"ฎฑธํ๊ณฯญฐ,ฅ", "ฤฆฏโฌ็๋ษศซ.", "()ฉฮฺ์?ฒฬฦ"]],
  en: [["`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./"],
    ["~!@#$%^&*()_+", "QWERTYUIOP{}|", "ASDFGHJKL:\"", "ZXCVBNM<>?"]],
};
const BESIDE = ["789", "456", "123", "0.-"]; // digits, which Thai letters have no place for; not on a phone
const DOES = [["back"], ["shift"], ["th", "en", "clear", "space", "done"]]; // after the third row, before the fourth, below
const NAMES = { // of what is no letter by itself
  "ะ": "สระอะ", "ั": "ไม้หันอากาศ", "า": "สระอา", "ำ": "สระอำ", "ิ": "สระอิ", "ี": "สระอี", "ึ": "สระอึ", "ื": "สระอือ", "ุ": "สระอุ", "ู": "สระอู",
  "ฺ": "พินทุ", "เ": "สระเอ", "แ": "สระแอ", "โ": "สระโอ", "ใ": "ไม้ม้วน", "ไ": "ไม้มลาย", "ๅ": "ลากข้าง", "ๆ": "ไม้ยมก", "ฯ": "ไปยาลน้อย", "็": "ไม้ไต่คู้",
  "่": "ไม้เอก", "้": "ไม้โท", "๊": "ไม้ตรี", "๋": "ไม้จัตวา", "์": "ทัณฑฆาต", "ํ": "นิคหิต", "฿": "บาท",
};
const MARK = /\p{Mn}/u; // drawn on a dotted circle where it is alone: by letters.css, for the page's own font has none
const REPEAT_AFTER_MS = 450, REPEAT_MS = 90;
const PHONE = matchMedia("(max-width: 30rem)"); // has letters of its own, in rows that its owner knows: ours come by the button alone
const board = document.createElement("div");
let field = null, layout = "", chosen = "", shifted = 0, spoken = "", repeating;

board.id = "letters";
board.setAttribute("role", "group");
board.hidden = true;
document.body.append(board);

const isText = (one) => isTyped(one) && !isPad(one);
const isOurs = (one) => one === field || board.contains(one) || one?.dataset?.letters === field?.id;

// --- what is on the keys

function made(letter) {
  const key = document.createElement("button");
  key.type = "button";
  key.className = "key";
  if (letter) key.dataset.letter = key.textContent = letter;
  return key;
}
function build() { // anew for each language of the page: its words come with the screen
  const words = document.getElementById("letters-words"), does = (at) => DOES[at].map((name) => words.querySelector(`[data-does=${name}]`).cloneNode(true));
  const digits = BESIDE.map((row) => [...row].map((one) => { const key = made(one); key.classList.add("beside"); return key; }));
  const rows = LAYOUTS.th[0].map((row) => [...row].map(() => made()));
  board.replaceChildren(...rows[0], ...digits[0], ...rows[1], ...digits[1], ...rows[2], ...does(0), ...digits[2],
    ...does(1), ...rows[3], ...digits[3], ...does(2));
  board.setAttribute("aria-label", words.dataset.label);
  spoken = till().lang;
}
function letter() {
  const keys = board.querySelectorAll(".key:not(.beside, .does)"), letters = [...LAYOUTS[layout][shifted].join("")];
  letters.forEach((one, at) => {
    const key = keys[at];
    key.dataset.letter = key.textContent = one;
    key.classList.toggle("mark", MARK.test(one));
    key.lang = layout;
    if (NAMES[one]) key.setAttribute("aria-label", NAMES[one]); else key.removeAttribute("aria-label");
  });
  board.dataset.layout = layout;
  board.querySelector("[data-does=shift]").setAttribute("aria-pressed", String(shifted === 1));
}
function told() { // a swap has drawn the screen as if there were no letters
  if (spoken !== till().lang) { build(); letter(); }
  for (const one of document.querySelectorAll("button[data-letters]")) one.setAttribute("aria-expanded", String(one.dataset.letters === field?.id));
  if (field) field.inputMode = "none";
}

// --- when they are there

function openLetters(target) {
  if (field && field !== target) closeLetters();
  const isNew = !field;
  field = target;
  layout = chosen || till().lang;
  shifted = 0;
  (field.closest("dialog") ?? document.body).append(board); // what is outside of an open dialog can't be touched
  board.hidden = false;
  document.body.dataset.letters = "on";
  told();
  letter();
  if (isNew && document.activeElement === field) field.blur(); // else a phone's own letters stay
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: PHONE.matches ? "start" : "nearest" });
}
function closeLetters() {
  clearInterval(repeating);
  if (!field) return;
  field.removeAttribute("inputmode");
  field = null;
  board.hidden = true;
  document.body.append(board);
  delete document.body.dataset.letters;
  told();
}
function leave() {
  if (field && !isOurs(document.activeElement)) closeLetters();
}
document.addEventListener("focusin", () => setTimeout(leave)); // after the press that took the focus away has been heard
document.addEventListener("till:shown", () => { // a screen without the field has given the focus to another
  if (field) told();
});
document.addEventListener("click", (event) => {
  const asks = event.target.closest?.("button[data-letters]"), isFinger = event.pointerType === "touch" || event.pointerType === "pen";
  if (asks && asks.dataset.letters === field?.id) closeLetters();
  else if (asks) openLetters(document.getElementById(asks.dataset.letters));
  else if (isFinger && isText(event.target) && !PHONE.matches) openLetters(event.target);
});

// --- what is pressed: a key acts when it is touched, and the field keeps the focus

function press(key) {
  const { letter: char, does } = key.dataset;
  if (document.activeElement !== field) field.focus({ preventScroll: true });
  if (does === "done") { done(); return; }
  if (does === "shift") shifted = 1 - shifted;
  else if (does === "th" || does === "en") { layout = chosen = does; shifted = 0; }
  else {
    put(field, char ?? (does === "space" ? " " : does));
    if (!char || !shifted) return;
    shifted = 0;
  }
  letter();
}
function done() { // to what is still empty beside the field, or to what comes after it
  const of = field.form, next = [...of?.querySelectorAll("input") ?? []].find((one) => isTyped(one) && one !== field && !one.value);
  closeLetters();
  const to = next ?? of?.querySelector("[type=submit]");
  if (to) to.focus(); else home();
}
document.addEventListener("pointerdown", (event) => {
  const key = event.target.closest?.("#letters button, button[data-letters]");
  if (key && event.button === 0) event.preventDefault();
  else if (!key && event.pointerType !== "mouse" && isText(event.target) && !PHONE.matches) event.target.inputMode = "none";
  if (!field || event.button !== 0 || !board.contains(key) || key.dataset.does === "done") return;
  press(key);
  clearInterval(repeating);
  if (key.dataset.does === "back") repeating = setTimeout(() => { repeating = setInterval(press, REPEAT_MS, key); }, REPEAT_AFTER_MS);
});
for (const name of ["pointerup", "pointercancel", "blur"]) addEventListener(name, () => clearInterval(repeating));
board.addEventListener("contextmenu", (event) => event.preventDefault()); // held, it repeats
board.addEventListener("click", (event) => {
  const key = event.target.closest("button");
  if (key && field && (event.detail === 0 || key.dataset.does === "done")) press(key); // gone sooner, the finger would press what is below
});
