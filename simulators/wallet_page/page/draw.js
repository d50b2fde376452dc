// A QR text as pixels: alphanumeric mode, level M, version 15 at most, quiet zone of 4, whole pixels for each module.

import qrcode from "./vendor/qrcode-generator/qrcode.mjs";

const QUIET = 4, VERSION_MAX = 15, MODULES_OF_15 = 77, ROOM_PX_MAX = 420;

const watched = new WeakSet();

// Draws it as large as it fits, and again when the room changes: a phone is turned. `data-text` says what is drawn.
export function drawCode(canvas, text, label) {
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  canvas.dataset.text = text;
  paint(canvas);
  if (watched.has(canvas)) return;
  watched.add(canvas);
  new ResizeObserver(() => paint(canvas)).observe(canvas.parentElement);
}

function paint(canvas) {
  const code = qrcode(0, "M");
  code.addData(canvas.dataset.text, "Alphanumeric");
  code.make();
  const count = code.getModuleCount();
  if (count > MODULES_OF_15) throw new RangeError(`larger than version ${VERSION_MAX}`);
  const size = count + 2 * QUIET;
  const room = Math.min(canvas.parentElement.clientWidth, ROOM_PX_MAX) * devicePixelRatio;
  const module = Math.max(1, Math.floor(room / size));
  canvas.width = canvas.height = module * size;
  canvas.style.width = canvas.style.height = `${canvas.width / devicePixelRatio}px`;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      if (code.isDark(row, column)) context.fillRect((column + QUIET) * module, (row + QUIET) * module, module, module);
    }
  }
}
