"use strict";
// Keeps the screen as the desk says: fetches it when a revision is told, and says so when nobody answers.
// It decides nothing and keeps nothing; what was pressed is sent with the revision that was seen.
const AGAIN_MS = 1500, LOOK_MS = 30000, TICK_MS = 1000, SAY_MS = 3500, SETTLE_MS = 20;
const PATH = document.body.dataset.kind === "customer" ? "/customer/screen" : "/screen";
const CONSUMES = ["add_amount", "quantity", "discount", "bill_discount", "kgo", "cash", "promptpay", "open_shift", "cash_in",
  "cash_out", "count", "refund", "approve", "first_manager", "sign_in"];
const WINDOW = Math.random().toString(36).slice(2, 14); // what this window was refused, no other one is told
const at = (id) => document.getElementById(id);
const till = () => at("till");

// --- what is shown

let refreshing = false, again = false, shownAt = performance.now();
async function refresh() {
  again = true;
  if (refreshing) return;
  refreshing = true;
  while (again) {
    again = false;
    await htmx.ajax("GET", PATH, { target: "#screen", swap: "innerMorph" });
  }
  refreshing = false;
}

function lost(is) {
  const sign = at("lost");
  if (sign) sign.hidden = !is;
}

let events, newest = null;
function catchUp() { // an answer to a press that is under way brings its own revision
  const shown = till().dataset;
  if (document.body.dataset.busy !== undefined || !newest) return;
  if (newest.boot !== shown.boot || String(newest.revision) !== shown.revision || !at("lost").hidden) refresh();
}
function listen() {
  events = new EventSource("/events");
  events.onmessage = (message) => {
    newest = JSON.parse(message.data);
    catchUp();
  };
  events.onerror = () => {
    refresh(); // too many windows, or nobody there: the answer tells which
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  };
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail, headers = ctx.response?.headers, shown = till()?.dataset;
  if (!headers?.has("x-till-boot") || !shown) return;
  const isOlder = headers.get("x-till-boot") === shown.boot && Number(headers.get("x-till-revision")) < Number(shown.revision);
  if (isOlder) { event.preventDefault(); return; }
  before = { screen: shown.screen, count: Number(at("basket")?.dataset.count ?? 0), category: at("shelf")?.dataset.category, assets: shown.assets };
});
let before = {};

document.addEventListener("htmx:after:swap", (event) => {
  const { ctx } = event.detail, shown = till().dataset;
  if (!ctx.response?.headers.has("x-till-boot")) return; // what a search found
  lost(false);
  shownAt = performance.now();
  if (before.assets && shown.assets !== before.assets) location.reload(); // another release: its own script and looks
  document.documentElement.lang = till().lang;
  if (ctx.request?.method === "POST") {
    cleared(ctx);
    if (document.body.dataset.busy !== undefined) document.body.dataset.busy = "shown";
  }
  if (document.body.dataset.kind === "customer") return;
  const shelf = at("shelf");
  if (shelf && shelf.dataset.category !== before.category) shelf.scrollTop = 0; // other goods begin at their first
  const lines = document.querySelectorAll("#basket input");
  if (lines.length && Number(at("basket").dataset.count) > before.count) {
    const last = lines[lines.length - 1];
    last.checked = true;
    last.closest("li").scrollIntoView({ block: "nearest" });
  }
  if (shown.screen !== before.screen) { at("say").textContent = ""; window.scrollTo(0, 0); home(); }
  else if (isLost(document.activeElement)) home();
  document.dispatchEvent(new CustomEvent("till:shown"));
});

for (const name of ["htmx:error", "htmx:response:error"])
  document.addEventListener(name, (event) => {
    const status = event.detail.ctx?.response?.status;
    if (!status || status >= 500) { lost(true); setTimeout(refresh, AGAIN_MS); }
    else if (status === 403 && event.detail.ctx.request.method === "POST") location.reload(); // the program was started anew and gave out another token
  });

// --- what is pressed

document.addEventListener("htmx:config:request", (event) => {
  const { request } = event.detail.ctx;
  request.headers["X-Till-Window"] = WINDOW;
  if (request.method === "POST") Object.assign(request.headers, proof());
});
function proof() {
  const token = document.cookie.match(new RegExp(`till-${location.port}=([^;]+)`));
  return { "X-Till-Token": token ? token[1] : "", "X-Till-Seen": till().dataset.revision };
}
document.addEventListener("htmx:before:request", (event) => {
  if (event.detail.ctx.request.method === "POST") document.body.dataset.busy = "";
});
document.addEventListener("htmx:finally:request", (event) => {
  if (event.detail.ctx.request.method === "POST") {
    delete document.body.dataset.busy;
    catchUp();
  }
  if (document.body.dataset.kind !== "customer" && isLost(document.activeElement)) home();
});

function whenFree(work) { // what is pressed the moment that an answer is on the screen waits for its last few milliseconds
  const { busy } = document.body.dataset;
  if (busy === undefined) work();
  else if (busy === "shown") setTimeout(work, SETTLE_MS);
  else say(till().dataset.sayBusy);
}

function cleared(ctx) { // what was typed is used up by the press that used it, and a PIN by any
  for (const one of document.querySelectorAll("[data-pad=pin]")) one.value = "";
  if (ctx.response.headers.get("x-till-said") !== "done") return;
  const action = ctx.request.action.split("/").pop(), body = ctx.request.body;
  const isUsed = CONSUMES.includes(action) || (action === "add_item" && (body?.get("is_open") || body?.get("typed")?.includes("×")));
  if (isUsed) for (const one of document.querySelectorAll("#main [data-pad]:not([data-most]), #reason")) one.value = "";
  const search = at("search");
  if (action === "add_item" && search?.value) {
    search.value = "";
    at("found").replaceChildren();
    home();
  }
}

document.addEventListener("htmx:confirm", (event) => {
  event.preventDefault();
  const { ctx, issueRequest, dropRequest } = event.detail, sure = at("sure");
  if (!ctx.confirm) { issueRequest(); return; }
  at("sure-words").textContent = ctx.confirm;
  sure.returnValue = "";
  sure.onclose = () => { if (sure.returnValue === "yes") issueRequest(); else dropRequest(); home(); };
  sure.showModal();
  at("sure-no").focus();
});
document.addEventListener("click", (event) => {
  const id = event.target.closest("button")?.id;
  if (id === "sure-yes") at("sure").close("yes");
  if (id === "sure-no") at("sure").close("");
  if (id === "help-close") at("help").close();
  if (id === "hold-no") at("holding").close();
  if (id === "b-help") help();
  if (id === "b-hold" && at("b-hold").getAttribute("aria-disabled") !== "true") putAside();
});
document.addEventListener("submit", (event) => event.target.closest("dialog")?.close());
function putAside() {
  at("label").value = "";
  at("holding").showModal();
  at("label").focus();
}
function help() {
  const keys = [...document.querySelectorAll("#top button, #main button, #main label.search, #approve button")].filter((one) => one.querySelector("kbd") && one.getClientRects().length);
  at("help-keys").replaceChildren(...keys.map((one) => {
    const line = document.createElement("li"), key = document.createElement("kbd"), words = document.createElement("span");
    key.textContent = one.dataset.key ?? one.querySelector("kbd").textContent;
    words.textContent = (one.querySelector(".words") ?? one.querySelector("span")).firstChild.textContent;
    line.append(key, words);
    return line;
  }));
  at("help").showModal();
  at("help-close").focus();
}

let silence;
function say(words) { // a kind word of the page itself, in the place where all is told; the customer's display has none
  const place = at("say");
  if (!place) return;
  place.textContent = words;
  clearTimeout(silence);
  silence = setTimeout(() => { at("say").textContent = ""; }, SAY_MS);
}

// --- focus and time

function isLost(one) {
  return !one || one === document.body || !one.isConnected || one.disabled || one.closest("[inert]") !== null;
}
function homeOf() {
  return document.querySelector("#approve [data-home]") ?? document.querySelector("#main [data-home]");
}
function home() {
  if (!document.querySelector("dialog[open]")) homeOf()?.focus({ preventScroll: true });
}
setInterval(() => {
  for (const one of document.querySelectorAll("[data-clock]")) {
    const seconds = Number(one.dataset.clock) + Math.floor((performance.now() - shownAt) / 1000) + 7 * 3600; // Bangkok
    if (!Number.isFinite(seconds)) continue;
    const two = (value) => String(Math.floor(value)).padStart(2, "0");
    const told = `${two((seconds % 86400) / 3600)}:${two((seconds % 3600) / 60)}`;
    if (one.textContent !== told) one.textContent = told;
  }
  if (document.querySelector(".wait")) refresh(); // a wait that is counted down
}, TICK_MS);
setInterval(refresh, LOOK_MS); // ages grow while nothing else changes
listen();
if (document.body.dataset.kind !== "customer") home();
