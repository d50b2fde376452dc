// Elements from values: text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

// h("button", {class: "big", onclick: f}, "text", node, null, [more])
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const PATHS = {
  bus: "M5 4h14a2 2 0 0 1 2 2v11h-2v3h-3v-3H8v3H5v-3H3V6a2 2 0 0 1 2-2zm0 3v5h14V7zm1.500 7a1 1 0 1 0 .010 0zm11 0a1 1 0 1 0 .010 0z",
  shop: "M4 3h16l2 6h-2v12h-7v-6H9v6H4V9H2zm2 6v0h12v0z",
  scan: "M3 3h6v2H5v4H3zM15 3h6v6h-2V5h-4zM3 15h2v4h4v2H3zM19 15h2v6h-6v-2h4zM6 11h12v2H6z",
  list: "M3 5h3v3H3zM8 5h13v3H8zM3 11h3v3H3zM8 11h13v3H8zM3 17h3v3H3zM8 17h13v3H8z",
  receipt: "M5 2h14v20l-3-2-2 2-2-2-2 2-2-2-3 2zm3 5v2h8V7zm0 4v2h8v-2z",
  good: "M12 2a10 10 0 1 0 .010 0zm-1.500 14.500L6 12l1.700-1.700 2.800 2.800 5.800-5.800L18 9z",
  bad: "M8 2h8l6 6v8l-6 6H8l-6-6V8zm.700 5L7 8.700 10.300 12 7 15.300 8.700 17 12 13.700 15.300 17 17 15.300 13.700 12 17 8.700 15.300 7 12 10.300z",
  wait: "M12 2l10 10-10 10L2 12zm-1 5v6h2V7zm0 8v2h2v-2z",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}
