"use strict";
// The page's one job: show what the desk says, press what is pressed. It decides nothing and keeps nothing.
const PIXELS = 24, RADIUS = 78, LED = 8;
const LIGHTS = {
  wait: ["พร้อม", "ready"], reading: ["กำลังอ่าน", "reading"], accepted: ["ผ่าน", "accepted"],
  accepted_cash_due: ["ผ่าน เก็บเหรียญ", "accepted, coin due"], already_accepted: ["จ่ายแล้ว", "already paid"],
  refused: ["ไม่ผ่าน", "refused"], try_again: ["แตะใหม่", "present again"], training: ["โหมดฝึก", "training"],
  out_of_service: ["งดใช้", "out of service"], locked: ["ล็อก", "locked"], dark: ["ดับ", "dark"],
};
const PARTS = { // what it is, how it is well, how it is not
  validator: [["เครื่องรับ", "validator"], ["ทำงาน", "runs"], ["หยุด", "stopped"]],
  head: [["หัวอ่าน", "head"], ["เสียบอยู่", "plugged"], ["ถอดอยู่", "unplugged"]],
  cards: [["เครื่องอ่านบัตร", "card readers"], ["ทำงาน", "run"], ["ไม่มี", "none"]],
  gps: [["จีพีเอส", "GPS"], ["เห็นดาวเทียม", "has a fix"], ["ไม่เห็น", "no fix"]],
  network: [["เครือข่าย", "network"], ["ต่ออยู่", "up"], ["ขาด", "cut"]],
};
const BOOKS = {
  vouchers: ["รายการในเครื่อง", "in the journal"], pending: ["รอส่ง", "to be sent"], acked: ["เมืองยืนยัน", "acknowledged"],
  posted: ["ในบัญชีเมือง", "in the ledger"], refusals: ["ไม่ผ่าน", "refused"],
};

function drawn(parent, name, attributes) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  parent.append(one);
  return one;
}

// --- pressing

let pressing = false;
async function press(line, presents) {
  if (pressing) return; // one at a time; a button that is waited for keeps the keyboard's focus
  pressing = true;
  busy();
  at("result").replaceChildren(...both("กำลังทำ: " + line, "doing it"));
  try {
    const answer = await fetch("act", { method: "POST", body: JSON.stringify({ do: line }) });
    const text = await answer.text();
    at("result").replaceChildren(...(answer.ok ? done(line, presents, JSON.parse(text).said) : both(`ทำไม่ได้: ${line}`, text)));
  } catch {
    at("result").replaceChildren(...both(`ทำไม่ได้: ${line}`, "the desk does not answer"));
  }
  pressing = false;
  busy();
}

function done(line, presents, said) { // what the program answered, if it did
  if (!said && presents) return [`${line} → `, made("b", "เครื่องไม่ตอบ"), " ", english("the validator said nothing")];
  const light = LIGHTS[said?.light];
  const thai = said?.refusal ? `${said.refusal} ${said.title_th}` : "", other = said?.refusal ? said.title_en : "";
  if (light) return [`${line} → `, made("b", light[0]), thai && " · ", thai, " ", english(`${light[1]} ${other}`)];
  return [`${line} → `, made("b", thai || "ทำแล้ว"), " ", english(other || "done")];
}

function busy() {
  at("buttons").classList.toggle("busy", pressing || held.busy === true);
  at("buttons").setAttribute("aria-busy", pressing || held.busy === true);
}

function button(thai, other, line, presents) {
  const one = made("button", thai, english(other));
  one.type = "button";
  one.addEventListener("click", () => press(line(), presents));
  return one;
}

function build(said) {
  for (const [group, words] of Object.entries(said.groups)) {
    const box = made("fieldset", made("legend", ...both(...words)));
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
        select.setAttribute("aria-label", shared ? words[0] : action.thai);
        if (shared) { who.set(key, select); box.append(row([select])); select.dataset.shared = "1"; }
        return select;
      });
      const line = () => [action.word, ...selects.map((select) => select.value)].join(" ");
      box.append(row(selects.filter((select) => !select.dataset.shared), button(action.thai, action.english, line, action.presents)));
    }
    at("buttons").append(box);
  }
  const east = said.stops.map((stop) => stop.at[0]), north = said.stops.map((stop) => stop.at[1]);
  const place = (value, all, size) => 10 + (size - 20) * (value - Math.min(...all)) / (Math.max(...all) - Math.min(...all) || 1);
  const points = said.stops.map((stop) => [place(stop.at[0], east, 300), 150 - place(stop.at[1], north, 150)]);
  drawn(at("map"), "polyline", { points: points.join(" ") });
  points.forEach(([x, y]) => drawn(at("map"), "circle", { cx: x, cy: y }));
  said.stops.forEach((stop) => at("stops").append(made("li", stop.thai, " ", english(stop.id))));
  for (let number = 0; number < PIXELS; number++) {
    const angle = 2 * Math.PI * number / PIXELS;
    drawn(at("ring"), "circle", { cx: RADIUS * Math.sin(angle), cy: -RADIUS * Math.cos(angle), r: LED, fill: "#333" });
  }
  for (const [key, [words]] of Object.entries(PARTS)) {
    const one = made("li", ...both(...words), " ", made("b"), " ", english(""));
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

const held = {}; // the desk's state: the first message of a stream has all of it, each later one what is new
function show(news) {
  Object.assign(held, news);
  if (news.ring) showRing(news.ring);
  if (news.light) {
    const words = LIGHTS[news.light] ?? [news.light, ""];
    at("light").replaceChildren(...both(...words));
    at("ring").setAttribute("aria-label", `วงไฟของหัวอ่าน: ${words.join(" ")}`);
  }
  if ("tone" in news || news.sounds) {
    const heard = [...held.sounds.map(([hertz]) => hertz), ...(held.tone ? [held.tone + "…"] : [])];
    at("tone").replaceChildren(...both("เสียง", "sound"), " ", heard.length ? heard.join(" ") + " Hz" : "–");
  }
  if ("led" in news) at("led").replaceChildren(...both("ไฟลิงก์", "link LED"), " ", ...both(...(news.led ? ["ติด", "on"] : ["ดับ", "off"])));
  for (const [key, well] of Object.entries(news.is ?? {})) {
    const one = at("part-" + key), [thai, other] = PARTS[key][well ? 1 : 2];
    one.className = well ? "on" : "off";
    one.querySelector("b").textContent = thai;
    one.lastChild.textContent = other;
  }
  for (const [key, value] of Object.entries(news.books ?? {})) at("book-" + key).textContent = value;
  if ("stop" in news) showStop(news.stop);
  if (news.screen) at("screen").src = "screen.png?" + news.screen;
  if (news.lines)
    at("lines").textContent = news.lines.map(([ms, line]) => (ms / 1000).toFixed(3).padStart(9) + "  " + line).reverse().join("\n");
  if ("busy" in news) busy();
}

function showRing(hex) {
  const dots = at("ring").children, bytes = hex.match(/../g).map((byte) => parseInt(byte, 16));
  const brightest = Math.max(...bytes) || 1; // drawn at full strength: a screen is not as bright as an LED
  for (let number = 0; number < PIXELS; number++) {
    const rgb = bytes.slice(3 * number, 3 * number + 3).map((value) => Math.round(255 * value / brightest));
    dots[number].setAttribute("fill", rgb.some(Boolean) ? `rgb(${rgb})` : "#333");
  }
}

function showStop(reached) {
  [...at("stops").children].forEach((one, number) => {
    if (number === reached) one.setAttribute("aria-current", "step");
    else one.removeAttribute("aria-current");
  });
  at("map").querySelectorAll("circle").forEach((one, number) => one.setAttribute("class", number === reached ? "here" : ""));
  at("map").setAttribute("aria-label", `แผนที่ป้าย: ${at("stops").children[reached]?.textContent}`);
}

fetch("actions").then((answer) => answer.json()).then((said) => {
  build(said);
  follow(show);
});
