"use strict";
// Keys of the cashier: typed amounts, shortcuts, and a scanner that types as if it were a keyboard.
// What a scanner types is told from a person by its speed and never stays in a field, whichever has the focus.
// The customer's display has a scanner's codes alone.
const GAP_MS = 100; // keys further apart than this are not one burst
const FAST_MS = 35; // on average between keys of a scanner; the fastest fingers take twice that
const SCAN_MIN = 4; // no code is shorter, and no fingers make so many so fast
const END_MS = 300; // a scanner's Enter comes by then, even on a busy machine
const UNENDED_MIN = 6; // a scanner that is set to send no Enter
const SCAN_MAX = 701; // one more than any code: the desk refuses it, rather than half of it being read
const SCANS_MAX = 8;
const DIGITS = ")!@#$%^&*(";
const SIGNS = { Minus: "-_", Equal: "=+", BracketLeft: "[{", BracketRight: "]}", Backslash: "\\|", Semicolon: ";:", Quote: "'\"",
  Comma: ",<", Period: ".>", Slash: "/?", Backquote: "`~", Space: "  " };
const IS_TILL = document.body.dataset.kind === "till";
const FITS = {
  amount: /^\d{0,10}(\.\d{0,2})?$/, times: /^(\d{0,3}×)?\d{0,10}(\.\d{0,2})?$/, pin: /^\d{0,12}$/, number: /^\d{0,12}$/, count: /^\d{0,6}$/,
  code: /^[0-9A-Za-z-]{0,16}$/,
};
let chain = null; // keys that follow each other closely: {keys, plain, began, last, field, value, held, timer}
let lastPad = null, scans = 0, sending = Promise.resolve(), carried = "";

const isPad = (one) => one instanceof HTMLInputElement && one.dataset.pad !== undefined;
const isTyped = (one) => one instanceof HTMLInputElement && one.type !== "radio" && one.type !== "hidden";
const isOn = (one) => one?.isConnected && one.getClientRects().length > 0 && !one.closest("[inert]");
const scope = () => document.querySelector("dialog[open]") ?? document.getElementById("approve") ?? document.getElementById("till");
function homePad() {
  if (isOn(lastPad)) return lastPad;
  const one = scope().querySelector("input[data-home][data-pad]") ?? scope().querySelector("input[data-pad]");
  return isOn(one) ? one : null;
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
function onUsKeyboard(event) { // what the key is on the keyboard that scanners believe to be
  const shifted = event.shiftKey ? 1 : 0, { code } = event;
  if (code.startsWith("Key")) return shifted ? code[3] : code[3].toLowerCase();
  if (code.startsWith("Digit")) return shifted ? DIGITS[code[5]] : code[5];
  return SIGNS[code]?.[shifted] ?? event.key;
}
function numeral(event) { // a digit is a digit on a Thai keyboard too
  const { key, code } = event;
  if (/^[*xX×]$/.test(key)) return "×";
  if (/^Numpad\d$/.test(code)) return code[6];
  if (/^Digit\d$/.test(code) && !event.shiftKey) return code[5];
  if (code === "NumpadDecimal" || (code === "Period" && !event.shiftKey)) return ".";
  return thai(key);
}
const thai = (char) => /^[๐-๙]$/.test(char) ? String(char.charCodeAt(0) - 0xe50) : char;

// --- typing into amounts

function put(field, char) {
  const rule = FITS[field.dataset.times === undefined ? field.dataset.pad : "times"];
  const fits = (text) => rule ? rule.test(text) : text.length <= field.maxLength;
  const { value, selectionStart: from, selectionEnd: to } = field;
  if (char === "clear") field.value = "";
  else if (char === "back") field.setRangeText("", from === to ? from - (value.slice(0, from).match(/.$/su)?.[0].length ?? 0) : from, to, "end"); // one code point: a tone mark alone
  else if (fits(value.slice(0, from) + char + value.slice(to))) field.setRangeText(char, from, to, "end");
  else return;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function typed(event) {
  const field = document.activeElement, char = numeral(event);
  if (isPad(field)) {
    event.preventDefault();
    put(field, field.dataset.pad === "code" && !/^\d$/.test(char) ? event.key : char);
  } else if (!isTyped(field)) {
    if (event.key === " " && chain.keys.length > 1) stop(event); // within a burst it presses no button
    if (!/^[\d.]$/.test(char) || document.querySelector("dialog[open]")) return;
    const shown = document.getElementById("till").dataset.screen, pad = homePad();
    if (shown === "done" || carried) { stop(event); chain.next = (chain.next ?? "") + char; arm(GAP_MS); }
    else if (pad) { stop(event); pad.focus({ preventScroll: true }); put(pad, char); }
  }
}

// --- a scanner

function begin(event) {
  const field = isTyped(document.activeElement) ? document.activeElement : homePad();
  chain = { keys: "", plain: "", began: event.timeStamp, last: event.timeStamp, field, value: field?.value, held: false };
}
function hold() { // it is a scanner: the field is as it was before its first key
  chain.held = true;
  const { field, value } = chain;
  if (field && field.value !== value) {
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
function arm(after) {
  clearTimeout(chain.timer);
  chain.timer = setTimeout(ended, after);
}
function ended() { // no more keys came, unless they wait while the screen is busy
  if (chain && navigator.scheduling?.isInputPending?.()) arm(END_MS);
  else settle();
}
function settle() {
  const was = chain;
  chain = null;
  if (!was) return;
  clearTimeout(was.timer);
  if (was.held && was.keys.length >= UNENDED_MIN) send(was);
  else if (was.held && was.field) { // too few for a code: fingers after all
    for (const char of was.keys) put(was.field, char);
  } else if (was.next) { // the first keys after a sale start the next one, and count
    carried += was.next;
    carry();
    if (carried && document.body.dataset.busy === undefined) document.getElementById("b-next")?.click();
  }
}
function carry() {
  const { screen } = document.getElementById("till").dataset, pad = homePad();
  if (screen === "sale" && pad) for (const char of carried) put(pad, char);
  if (screen !== "done") carried = "";
}
document.addEventListener("till:shown", carry);
function send(scan) {
  const isAscii = /^[\x20-\x7e]*$/.test(scan.keys);
  const text = (isAscii ? scan.keys : scan.plain).slice(0, SCAN_MAX); // a Thai keyboard is set: by where the keys are
  if (scans >= SCANS_MAX) { say(document.getElementById("till").dataset.sayTaken); return; }
  scans++;
  sending = sending.then(async () => {
    try {
      await htmx.ajax("POST", IS_TILL ? "/scanned" : "/customer/scanned", { target: "#screen", swap: "innerMorph", values: { text } });
    } finally { scans--; }
  });
}

// --- keys

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.length === 1) onChar(event);
  else if (event.key === "Enter" || event.key === "Tab") onEnd(event);
  else if (event.key !== "Shift" && event.key !== "CapsLock") { settle(); if (IS_TILL) onOther(event); }
}, true);

function onChar(event) {
  if (event.repeat) { if (!isTyped(document.activeElement) || isPad(document.activeElement)) stop(event); return; }
  const now = event.timeStamp;
  if (!chain || now - chain.last > (chain.held ? END_MS : GAP_MS)) { settle(); begin(event); }
  chain.last = now;
  if (chain.keys.length < SCAN_MAX) { chain.keys += event.key; chain.plain += onUsKeyboard(event); }
  const count = chain.keys.length;
  if (!chain.held && count >= SCAN_MIN && now - chain.began <= FAST_MS * (count - 1)) hold();
  if (chain.held) { stop(event); arm(END_MS); } else if (IS_TILL) typed(event);
}

function onEnd(event) {
  if (chain?.held && event.timeStamp - chain.last <= END_MS) {
    stop(event);
    const scan = chain;
    clearTimeout(scan.timer);
    chain = null;
    send(scan);
    return;
  }
  settle();
  if (event.key === "Tab" || !IS_TILL) return;
  if (event.repeat) { stop(event); return; }
  if (document.activeElement?.id === "search") {
    stop(event);
    document.querySelector("#found .good")?.click();
  }
}

function onOther(event) {
  const name = (event.shiftKey ? "Shift+" : "") + event.key, field = document.activeElement;
  if (/^F\d+$/.test(event.key) && event.key !== "F5") event.preventDefault();
  const isEditing = isTyped(field) && field.value !== "";
  if (isEditing && (event.key === "Delete" || (event.key === "Escape" && field.type === "search"))) return;
  const into = scope().querySelector(`[data-key-focus="${name}"]`);
  if (isOn(into)) { event.preventDefault(); into.focus(); into.select(); return; }
  const button = [...scope().querySelectorAll(`[data-key="${name}"]`)].find(isOn);
  if (button && !event.repeat) {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") !== "true") whenFree(() => button.click());
  } else if (event.key === "Escape" && isPad(field)) put(field, "clear");
}

document.addEventListener("submit", (event) => {
  const empty = event.target.dataset.empty, pad = event.target.querySelector("input[data-home]");
  if (document.body.dataset.busy !== undefined) { stop(event); whenFree(() => event.target.requestSubmit()); return; }
  const next = event.target.dataset.all !== undefined && [...event.target.querySelectorAll("input")].find((one) => !one.value);
  if (next) { stop(event); next.focus(); return; }
  if (!empty || !pad || pad.value) return;
  stop(event);
  const button = document.querySelector(`#main [data-key="${empty}"]`);
  if (button && button.getAttribute("aria-disabled") !== "true") button.click();
  else say(document.getElementById("till").dataset.sayChoose);
}, true);

// --- fingers: a key of the keypad acts when it is touched, and the field keeps the focus

document.addEventListener("pointerdown", (event) => {
  const key = event.target.closest?.("[data-digit]");
  if (!key || event.button !== 0) return;
  event.preventDefault();
  const pad = homePad();
  if (pad) { pad.focus({ preventScroll: true }); put(pad, key.dataset.digit); }
});
document.addEventListener("click", (event) => {
  const key = event.target.closest?.("[data-digit]"), step = event.target.closest?.("[data-step]");
  const fill = event.target.closest?.("[data-fill]");
  if (fill) document.getElementById(fill.dataset.fill).value = fill.textContent.trim();
  if (key && event.detail === 0 && homePad()) put(homePad(), key.dataset.digit);
  if (step) {
    const field = document.getElementById(step.dataset.for);
    field.value = String(Math.min(Number(field.dataset.most), Math.max(0, Number(field.value) + Number(step.dataset.step))));
  }
});
document.addEventListener("focusin", (event) => {
  if (!isPad(event.target)) return;
  lastPad = event.target;
  if (event.target.dataset.most !== undefined) event.target.select();
});

// --- pasted, dropped, typed on glass: as much as fits, or a kind word

document.addEventListener("beforeinput", (event) => {
  const field = event.target;
  if (!isTyped(field) || /^(delete|history|insertLineBreak)/.test(event.inputType)) return;
  const isBrought = /^insertFrom(Paste|Drop|Yank)/.test(event.inputType);
  const text = event.data ?? event.dataTransfer?.getData("text/plain") ?? "";
  if (isPad(field)) {
    event.preventDefault();
    const plain = text.trim().replace(/,(?=\d{3}(\D|$))/g, "");
    if (isBrought && !(plain && FITS[field.dataset.pad].test(plain))) say(document.getElementById("till").dataset.sayPaste);
    else if (isBrought) { field.select(); put(field, plain); }
    else for (const char of text) put(field, thai(char));
  } else if (isBrought && text.length > field.maxLength) {
    event.preventDefault();
    say(document.getElementById("till").dataset.sayPaste);
  }
}, true);
