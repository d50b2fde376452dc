"use strict";
// The page's one job: show what the town says, press what is pressed. It decides nothing and keeps nothing.
const SHAPES = {
  check: "M4 13l5 5L20 6", cross: "M5 5l14 14M19 5L5 19", up: "M12 20V5M6 11l6-6 6 6", stop: "M5 5h14v14H5z",
  warn: "M12 3l10 18H2zM12 10v5M12 18h.01", dots: "M5 12h.01M12 12h.01M19 12h.01",
};
const LIGHTS = {
  accepted: ["ผ่าน", "accepted"], accepted_cash_due: ["ผ่าน เก็บเงินส่วนที่เหลือ", "accepted, the rest is due"],
  already_accepted: ["จ่ายแล้ว", "already paid"], refused: ["ไม่ผ่าน", "refused"], try_again: ["ลองใหม่", "present again"],
  training: ["โหมดฝึก", "training"], out_of_service: ["งดใช้", "out of service"],
};
const PAGES = {
  shop: ["ร้าน: แคชเชียร์", "shop: the cashier"], customer: ["ร้าน: จอลูกค้า", "shop: the customer's display"],
  bus: ["รถเมล์สาย 8", "the bus"], wallet: ["กระเป๋า KGO", "a wallet"],
  wallet2: ["กระเป๋า KGO ใบที่สอง", "a second wallet"], lan: ["กระเป๋าบนโทรศัพท์จริง", "a wallet on a real phone"],
};
const NETWORKS = { shop: ["ร้าน", "shop"], bus: ["รถเมล์", "bus"], phones: ["โทรศัพท์", "phones"] };
const BADGES = { // shape, colour, words: what the program itself says
  synced: ["check", "well", "ส่งครบแล้ว", "synced"], sending: ["up", "wait", "กำลังส่ง", "sending"],
  offline: ["cross", "ill", "ออฟไลน์", "offline"], attention: ["warn", "ill", "ต้องดูแล", "needs attention"],
  off: ["stop", "ill", "ปิดอยู่", "switched off"], "": ["dots", "wait", "ยังไม่ได้บอก", "not said yet"],
};
const FAULTS = { no_paper: ["กระดาษหมด", "out of paper"], cover_open: ["ฝาเปิด", "cover open"], hang: ["เครื่องพิมพ์ค้าง", "printer hangs"] };
const ROWS = {
  vouchers: ["รายการที่เครื่องเซ็น", "vouchers signed"], pending: ["รอส่ง", "to be sent"],
  acked: ["เมืองยืนยันแล้ว", "acknowledged by the city"], posted: ["ในบัญชีเมือง", "in the city's ledger"],
  refusals: ["ไม่ผ่าน", "refused"], kgo: ["KGO ที่รับสุทธิ", "KGO taken, net"],
  credited: ["KGO ที่เมืองให้แล้ว", "KGO credited by the city"],
  rewarded: ["KGO ที่ร้านให้เป็นรางวัล", "KGO given as rewards"], baht: ["บาทที่บันทึกสุทธิ", "baht recorded, net"],
};

function icon(name) {
  const one = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  one.setAttribute("class", "icon");
  one.setAttribute("viewBox", "0 0 24 24");
  one.setAttribute("aria-hidden", "true");
  path.setAttribute("d", SHAPES[name]);
  one.append(path);
  return one;
}

// --- pressing

const held = {}; // the town's state: the first message of a stream has all of it, each later one what is new
let sending = false;

function busy() {
  document.body.classList.toggle("busy", sending || held.busy === true);
  at("hand").setAttribute("aria-busy", String(sending || held.busy === true));
}

// One thing at a time before the scanner; `tell` shows what came of it. What was asked, and the answer's body or null.
async function ask(path, body, what, tell) {
  if (sending) return null;
  sending = true;
  busy();
  tell(...both("กำลังทำ: " + what[0], what[1]));
  let said = null;
  try {
    const answer = await fetch(path, { method: "POST", body });
    if (answer.ok) {
      said = await answer.json();
      tell(...outcome(what, said.said));
    } else if (answer.status === 409) {
      const why = await answer.json();
      tell(made("b", icon("cross"), " ", why.thai), " ", english(why.english));
    } else tell(...both("ทำไม่ได้", await answer.text()));
  } catch {
    tell(...both("โต๊ะไม่ตอบ", "the desk does not answer"));
  }
  sending = false;
  busy();
  return said;
}

function outcome(what, said) {
  if (said === null) return [icon("dots"), " ", ...both("เครื่องสแกนอ่านไม่ออก: ไม่เห็นโค้ดในภาพ", "the scanner reads nothing: no code in the picture")];
  const refusal = said.refusal ? [` ${said.refusal} ${said.title_th} `, english(said.title_en)] : [];
  if (said.by === "phone") return [icon("cross"), " ", made("b", "โทรศัพท์ไม่ยอมจ่าย"), ...refusal];
  if (said.silent) return [icon("dots"), " ", ...both("เครื่องของร้านไม่ให้ไฟ ดูที่หน้าร้าน", "the till gave no light: look at the shop's page")];
  const light = LIGHTS[said.light];
  const paid = said.paid_kgo ? [" · ", ...both(`จ่าย ${said.paid_kgo} KGO`, "paid by request")] : [];
  if (light) return [icon(said.light.startsWith("accepted") ? "check" : "cross"), " ", made("b", light[0]), " ", english(light[1]), ...refusal, ...paid];
  if (said.reserve_kgo) return [icon("check"), " ", ...both(`วงเงินใหม่ ${said.reserve_kgo} KGO`, "a new allowance")];
  return [icon("check"), " ", ...both(what[0], what[1] + ": done")];
}

const result = (...content) => at("result").replaceChildren(...content);
const act = (line, what, tell = result) => ask("act", JSON.stringify({ do: line }), what, tell);

function button(words, does) {
  const one = made("button", words[0], english(words[1]));
  one.type = "button";
  one.addEventListener("click", does);
  return one;
}

function sliding(words, line, isFault) { // a switch; its state is told in words and by its shape
  const one = made("button");
  one.type = "button";
  one.setAttribute("role", "switch");
  one.setAttribute("aria-label", words.join(" "));
  one.className = isFault ? "fault" : "";
  one.addEventListener("click", () => act(`${line} ${one.getAttribute("aria-checked") === "true" ? "off" : "on"}`, words));
  return one;
}

function slide(one, isOn, words) {
  one.setAttribute("aria-checked", String(isOn));
  const isWell = one.className === "fault" ? !isOn : isOn;
  one.replaceChildren(icon(isWell ? "check" : "cross"), " ", ...both(...words));
}

// --- building

function build(town) {
  for (const [name, words] of Object.entries(PAGES)) {
    if (!town.pages[name]) continue;
    const link = made("a", ...both(...words)), where = made("span", town.pages[name]);
    link.href = town.pages[name];
    link.target = "_blank";
    link.rel = "noopener";
    where.className = "at";
    at("pages").append(made("li", link, where));
  }
  const names = town.cashiers.map((one) => `${one.code} ${one.name}`).join(", ");
  at("people").append(`แคชเชียร์ ${names} · PIN ${town.pin} `, english("cashiers and their PIN"), made("br"),
    ...both("กระเป๋ามากกว่านี้: เปิดหน้ากระเป๋าในโปรไฟล์อื่นของเบราว์เซอร์ หรือหน้าต่างส่วนตัว", "more wallets: open the wallet page in other browser profiles or private windows"));
  for (const [name, words] of Object.entries(NETWORKS)) {
    const badge = made("span"), one = sliding(["เครือข่ายของ" + words[0], words[1] + " network"], "network " + name);
    badge.className = "badge";
    one.id = "net-" + name;
    badge.id = "badge-" + name;
    at("networks").append(made("li", made("span", ...both(...words)), badge, one));
  }
  at("badge-phones").append(...both("กระเป๋าใช้ได้แม้ไม่มีเครือข่าย", "wallets work without it"));
  for (const [name, words] of Object.entries(FAULTS)) {
    const one = sliding(words, "printer " + name, true);
    one.id = "fault-" + name;
    at("printer").append(made("li", made("span", ...both(...words)), one));
  }
  const drawer = made("li", made("span"), button(["ปิดลิ้นชัก", "shut it"], () => act("drawer shut", ["ปิดลิ้นชัก", "the drawer"])));
  drawer.id = "drawer";
  at("printer").append(drawer);
  for (const [name, thai] of Object.entries(town.people)) {
    const one = made("option", name === thai ? name : `${thai} · ${name}`);
    one.value = name;
    at("who").append(one);
  }
  const who = () => at("who").value, kgo = () => at("kgo").value.trim();
  at("who").addEventListener("change", showLeft);
  at("phones").addEventListener("submit", (event) => event.preventDefault());
  at("hand").append(
    button(["แสดงโค้ดให้เครื่องสแกน", "show a code to the scanner"], () => act(`code ${who()} ${kgo()}`, ["แสดงโค้ด", "shows a code"])),
    button(["โค้ดเดิมอีกครั้ง", "the same code again"], () => act(`again ${who()}`, ["โค้ดเดิม", "the same code"])),
    button(["สแกนจอลูกค้าแล้วตอบ", "scan the customer's display and answer"], () => act(`answer ${who()}`, ["สแกนจอลูกค้า", "scans the display"])),
    button(["รับวงเงินใหม่", "renew the allowance"], () => act(`renew ${who()}`, ["รับวงเงินใหม่", "renews"])));
  at("power").append(
    button(["ดึงปลั๊ก", "kill the till (SIGKILL)"], () => act("till kill", ["ดึงปลั๊ก", "kill"])),
    button(["เปิดเครื่อง", "start it again"], () => act("till start", ["เปิดเครื่อง", "start"])));
  at("heads").append(made("th"), ...["shop", "bus"].map((name) => {
    const one = made("th", ...both(...NETWORKS[name]));
    one.scope = "col";
    return one;
  }));
  at("heads").firstChild.append(...both("รายการ", "what"));
  for (const [key, words] of Object.entries({ ...ROWS, agrees: ["ตรงกัน", "do they agree"] })) {
    const head = made("th", ...both(...words));
    head.scope = "row";
    at("rows").append(made("tr", head, ...["shop", "bus"].map((name) => {
      const one = made("td", "–");
      one.id = `book-${name}-${key}`;
      return one;
    })));
  }
  const told = (...content) => at("audit").replaceChildren(...content);
  at("audits").append(button(["ให้เมืองตรวจบัญชี", "kgo-city audit"], async () => {
    const said = (await act("audit", ["ตรวจบัญชี", "audit"], told))?.said;
    if (said) told(icon(said.audit_ok ? "check" : "cross"), " ", ...both(said.audit_ok ? "ตรวจแล้ว ถูกต้อง" : "ตรวจแล้ว ไม่ถูกต้อง", said.text));
  }));
}

// --- looking

function show(news) {
  Object.assign(held, news);
  for (const [name, badge] of Object.entries(news.badge ?? {})) {
    const [shape, colour, thai, other] = BADGES[badge] ?? ["dots", "wait", badge, badge];
    at("badge-" + name).className = "badge " + colour;
    at("badge-" + name).dataset.badge = badge;
    at("badge-" + name).replaceChildren(icon(shape), " ", ...both(thai, other));
  }
  if (news.badge) {
    const isOn = news.badge.shop !== "off";
    at("runs").className = isOn ? "well" : "ill";
    at("runs").replaceChildren(icon(isOn ? "check" : "stop"), " ", ...(isOn ? both("ทำงานอยู่", "it runs") : both("ปิดอยู่", "it is off")));
  }
  for (const [name, isOn] of Object.entries(news.linked ?? {})) slide(at("net-" + name), isOn, isOn ? ["ต่ออยู่", "on"] : ["ขาด", "off"]);
  if (news.paper) showPaper(news.paper);
  if (news.phone) showPicture("phone", "phone.png?" + news.phone, "โค้ดบนจอโทรศัพท์");
  if (news.left) showLeft();
  if (news.books) showBooks(news.books);
  if (news.lines) at("lines").textContent = [...news.lines].reverse().join("\n");
  if ("busy" in news) busy();
}

function showPicture(id, source, alt) {
  at(id).src = source;
  at(id).alt = alt;
  at(id).hidden = false;
}

function showLeft() {
  const left = held.left?.[at("who").value];
  at("left").replaceChildren(...both(left === undefined ? "ลงทะเบียนเมื่อใช้ครั้งแรก" : `จ่ายได้อีก ${left} KGO`, left === undefined ? "registers when first used" : "left on this phone"));
}

function showPaper(paper) {
  for (const name of Object.keys(FAULTS)) {
    const isOn = paper.faults.includes(name);
    slide(at("fault-" + name), isOn, isOn ? ["เป็นอยู่", "it is so"] : ["ปกติ", "it is well"]);
  }
  at("drawer").firstChild.replaceChildren(icon(paper.drawer ? "up" : "check"), " ", ...(paper.drawer ? both("ลิ้นชักเปิดอยู่", "the drawer is open") : both("ลิ้นชักปิดอยู่", "the drawer is shut")));
  if (!paper.sheets) return;
  showPicture("paper", "paper.png?" + paper.sheets, "ใบเสร็จล่าสุดที่พิมพ์ออกมา");
  at("papers").replaceChildren(...both(`ใบที่ ${paper.sheets} ที่พิมพ์ออกมา`, "sheet cut off"));
}

function showBooks(books) {
  for (const name of ["shop", "bus"]) {
    for (const key of Object.keys(ROWS)) at(`book-${name}-${key}`).textContent = books[name][key];
    const isSame = books[name].agrees, cell = at(`book-${name}-agrees`);
    cell.className = isSame ? "well" : "wait";
    cell.replaceChildren(icon(isSame ? "check" : "up"), " ", ...(isSame ? both("ตรงกัน", "yes") : both("ยังไม่ครบ", "not yet")));
  }
  const isZero = books.sums.every((one) => one === "0.00");
  at("zero").replaceChildren(icon(isZero ? "check" : "cross"), " ",
    ...both(`ผลรวมทุกบัญชีของเมือง ${books.sums[0]} KGO, ${books.sums[1]} บาท`, "sum of all accounts of the city, must be zero"));
}

fetch("town").then((answer) => answer.json()).then((town) => {
  build(town);
  follow(show);
});
