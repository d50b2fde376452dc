"use strict";
// What the desks' pages share: parts of a page in both languages, and following the desk's news. Loaded before them.
const AGAIN_MS = 3000;
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

function made(name, ...content) {
  const one = document.createElement(name);
  one.append(...content);
  return one;
}
function english(text) {
  const one = made("small", text);
  one.lang = "en";
  return one;
}
const both = (thai, other) => [thai + " ", english(other)];

// The first message of a stream has all of the desk's state, each later one what is new.
function follow(show) {
  const stream = new EventSource("events");
  stream.onopen = () => at("live").replaceChildren(...both("ต่ออยู่", "live"));
  stream.onmessage = (message) => show(JSON.parse(message.data));
  stream.onerror = () => {
    const isOver = stream.readyState === EventSource.CLOSED; // it was refused: then the browser itself does not try again
    at("live").replaceChildren(...(isOver
      ? both("โต๊ะไม่รับหน้านี้ ปิดหน้าอื่นก่อน", "the desk takes no more pages: close another")
      : both("ไม่ได้ต่อกับโต๊ะ ภาพนี้เก่า", "not connected, this is old")));
    if (isOver) setTimeout(() => follow(show), AGAIN_MS);
  };
}
