// Words in Thai and English, from the project's one catalogue; amounts and times as people read them.

const LANGUAGES = ["th", "en"], KEPT = "kgo-language";
const ZONE = "Asia/Bangkok";
const LOCALES = { th: "th-TH-u-ca-buddhist-nu-latn", en: "en-GB" };
let catalogue = {};
let language = LANGUAGES[0];

export async function loadTexts() {
  catalogue = await (await fetch("texts.json")).json();
  setLanguage(localStorage.getItem(KEPT));
}

export function setLanguage(wanted) {
  language = LANGUAGES.includes(wanted) ? wanted : LANGUAGES[0];
  document.documentElement.lang = language;
  document.title = t("title");
  if (wanted) localStorage.setItem(KEPT, language);
}

export const otherLanguage = () => LANGUAGES.find((one) => one !== language);
export const hasText = (key) => Object.hasOwn(catalogue[language], key);

// `key` without `wallet.`; places as {name}.
export function t(key, values = {}) {
  const text = catalogue[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

// 1/100 to "1,234.50", by digits alone.
export function money(minor) {
  const digits = String(Math.abs(minor)).padStart(3, "0");
  const whole = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${minor < 0 ? "−" : ""}${whole}.${digits.slice(-2)}`;
}

// "12.5" to 1250; null for what is no amount. Thai digits are digits.
export function parseMoney(text) {
  const plain = text.trim().replace(/[๐-๙]/g, (digit) => String(digit.charCodeAt(0) - 0x0e50));
  const found = /^(\d{1,7})(?:\.(\d{1,2}))?$/.exec(plain);
  return found && Number(found[1] + (found[2] ?? "").padEnd(2, "0"));
}

const format = (options) => (atS) =>
  new Intl.DateTimeFormat(LOCALES[language], { timeZone: ZONE, ...options }).format(new Date(atS * 1000));

export const dateAndTime = format({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
export const clockTime = format({ hour: "2-digit", minute: "2-digit" });
