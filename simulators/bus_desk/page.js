"use strict";
// The page's one job: show what the desk says, press what is pressed. It decides nothing and keeps nothing.
const LOOK_MS = 150, PIXELS = 24, RADIUS = 78, LED = 8;
const SVG = "http://www.w3.org/2000/svg";
const LIGHTS = {
  wait: ["พร้อม", "ready"], reading: ["กำลังอ่าน", "reading"], accepted: ["ผ่าน", "accepted"],
  accepted_cash_due: ["ผ่าน เก็บเหรียญ", "accepted, coin due"], already_accepted: ["จ่ายแล้ว", "already paid"],
  refused: ["ไม่ผ่าน", "refused"], try_again: ["แตะใหม่", "present again"], training: ["โหมดฝึก", "training"],
  out_of_service: ["งดใช้", "out of service"], locked: ["ล็อก", "locked"], dark: ["ดับ", "dark"],
};
const PARTS = {
  validator: ["เครื่องรับ", "validator"], head: ["หัวอ่าน", "head"], cards: ["เครื่องอ่านบัตร", "card readers"],
  gps: ["จีพีเอส", "GPS"], network: ["เครือข่าย", "network"],
};
const BOOKS = {
  vouchers: ["รายการในเครื่อง", "in the journal"], pending: ["รอส่ง", "to be sent"], acked: ["เมืองยืนยัน", "acknowledged"],
  posted: ["ในบัญชีเมือง", "in the ledger"], refusals: ["ไม่ผ่าน", "refused"],
};
const at = (id) => document.getElementById(id);

function made(name, text, ...more) {
  const one = document.createElement(name);
  one.append(text ?? "", ...more);
  return one;
}
const both = (thai, english) => [thai + " ", made("small", english)];

function drawn(parent, name, attributes) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  parent.append(one);
  return one;
}

// --- pressing

async function press(line) {
  for (const one of document.querySelectorAll("#buttons button")) one.disabled = true;
  at("result").replaceChildren("… " + line);
  try {
    const answer = await fetch("act", { method: "POST", body: JSON.stringify({ do: line }) });
    const text = await answer.text();
    at("result").replaceChildren((answer.ok ? "✓ " : "✗ ") + line + (answer.ok ? "" : " — " + text));
  } catch {
    at("result").replaceChildren("✗ ไม่ได้ต่อกับโต๊ะ · the desk is gone");
  }
  for (const one of document.querySelectorAll("#buttons button")) one.disabled = false;
}

function button(thai, english, line) {
  const one = made("button", thai, made("small", english));
  one.type = "button";
  one.addEventListener("click", () => press(line()));
  return one;
}

function build(said) {
  for (const [group, [thai, english]] of Object.entries(said.groups)) {
    const box = made("fieldset", made("legend", ...both(thai, english)));
    if (group === "driver")
      for (const one of said.driver) box.append(row([], button(one.thai, one.english, () => one.line)));
    const who = new Map(); // one chooser for all actions of a group that ask the same
    for (const action of said.actions.filter((one) => one.group === group)) {
      const selects = action.choices.map((choices) => {
        const key = choices.join();
        const shared = action.choices[0] === choices && group !== "bus" && group !== "cheat";
        if (shared && who.has(key)) return who.get(key);
        const select = made("select", "", ...choices.map((choice) => {
          const one = made("option", said.choices[choice] ? `${said.choices[choice]} · ${choice}` : choice);
          one.value = choice;
          return one;
        }));
        select.setAttribute("aria-label", action.thai);
        if (shared) { who.set(key, select); box.append(row([select])); select.dataset.shared = "1"; }
        return select;
      });
      const line = () => [action.word, ...selects.map((select) => select.value)].join(" ");
      box.append(row(selects.filter((select) => !select.dataset.shared), button(action.thai, action.english, line)));
    }
    at("buttons").append(box);
  }
  const east = said.stops.map((stop) => stop.at[0]), north = said.stops.map((stop) => stop.at[1]);
  const place = (value, all, size) => 10 + (size - 20) * (value - Math.min(...all)) / (Math.max(...all) - Math.min(...all) || 1);
  const points = said.stops.map((stop) => [place(stop.at[0], east, 300), 200 - place(stop.at[1], north, 200)]);
  drawn(at("map"), "polyline", { points: points.join(" "), fill: "none", stroke: "#0d2b45", "stroke-width": 2 });
  points.forEach(([x, y]) => drawn(at("map"), "circle", { cx: x, cy: y, r: 4, fill: "#fff", stroke: "#0d2b45", "class": "stop" }));
  said.stops.forEach((stop) => at("stops").append(made("li", stop.thai, " ", made("small", stop.id))));
  for (let number = 0; number < PIXELS; number++) {
    const angle = 2 * Math.PI * number / PIXELS;
    drawn(at("ring"), "circle", { cx: RADIUS * Math.sin(angle), cy: -RADIUS * Math.cos(angle), r: LED, fill: "#333" });
  }
  for (const [key, words] of Object.entries(PARTS)) {
    const one = made("li", ...both(...words), made("span", ""));
    one.id = "part-" + key;
    at("parts").append(one);
  }
  for (const [key, words] of Object.entries(BOOKS)) {
    const one = made("dd", "-");
    one.id = "book-" + key;
    at("books").append(made("dt", ...both(...words)), one);
  }
}

function row(selects, ...more) {
  const one = made("div", "", ...selects, ...more);
  one.className = "row";
  return one;
}

// --- looking

let screen = null;
function show(said) {
  const dots = at("ring").children, bytes = said.ring.match(/../g).map((byte) => parseInt(byte, 16));
  const brightest = Math.max(...bytes) || 1; // drawn at full strength: a screen is not as bright as an LED
  for (let number = 0; number < PIXELS; number++) {
    const rgb = bytes.slice(3 * number, 3 * number + 3).map((value) => Math.round(255 * value / brightest));
    dots[number].setAttribute("fill", rgb.some(Boolean) ? `rgb(${rgb})` : "#333");
  }
  at("light").replaceChildren(...both(...(LIGHTS[said.light] ?? [said.light, ""])));
  const tones = said.sounds.map(([hertz, ms]) => `${hertz} Hz ${ms} ms`).join(" · ");
  at("tone").textContent = (said.tone ? `♪ ${said.tone} Hz` : "♪ –") + (tones ? ` (${tones})` : "");
  at("led").replaceChildren(said.led ? "● " : "○ ", ...both("ไฟลิงก์", "link LED"));
  for (const [key, value] of Object.entries(said.is)) {
    const one = at("part-" + key);
    one.className = value ? "on" : "off";
    one.lastChild.textContent = value ? " ✓" : " ✗";
  }
  for (const [key, value] of Object.entries(said.books)) at("book-" + key).textContent = value;
  [...at("stops").children].forEach((one, number) => one.toggleAttribute("aria-current", number === said.stop));
  at("map").querySelectorAll("circle").forEach((one, number) => one.setAttribute("fill", number === said.stop ? "#d60" : "#fff"));
  if (said.screen !== screen) {
    screen = said.screen;
    at("screen").src = "screen.png?" + screen;
  }
  const lines = said.lines.map(([ms, line]) => (ms / 1000).toFixed(3).padStart(9) + "  " + line).reverse().join("\n");
  if (at("lines").textContent !== lines) at("lines").textContent = lines;
}

async function look() {
  let said = null;
  try {
    said = await (await fetch("state")).json();
  } catch {
    at("result").replaceChildren("✗ ไม่ได้ต่อกับโต๊ะ · the desk is gone");
  }
  setTimeout(look, LOOK_MS);
  if (said) show(said);
}

fetch("actions").then((answer) => answer.json()).then((said) => {
  build(said);
  at("result").replaceChildren(...both("พร้อม: เริ่มจากลงชื่อเข้า แล้วเริ่มเที่ยว", "ready: sign on, then start a trip"));
  look();
});
