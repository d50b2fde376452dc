"use strict";
// What is held to the shop's scanner: a picture that is pasted, dropped or chosen, a text, or what a camera or another
// window shows, frame by frame until something is read. The picture goes to the desk as it is; nothing is read here.
const LOOK_MS = 400, LOOK_MS_MAX = 60000, WIDE_PX = 1600, PICTURE_BYTES_MAX = 8000000;
const HELD = ["ยื่นให้เครื่องสแกน", "held to the scanner"];
let stream = null;

function hold(picture) {
  if (picture.size > PICTURE_BYTES_MAX) return result(...both("ภาพใหญ่เกินไป", "the picture is too large"));
  return ask("hold", picture, HELD, result);
}
const holdText = (text) => ask("hold-text", JSON.stringify({ text }), HELD, result);

function firstPicture(files) {
  return [...(files ?? [])].find((one) => one.type.startsWith("image/"));
}

addEventListener("paste", (event) => {
  const picture = firstPicture(event.clipboardData?.files), text = event.clipboardData?.getData("text") ?? "";
  if (picture) hold(picture);
  else if (text.startsWith("KGO1") && !(event.target instanceof HTMLInputElement)) holdText(text);
  else return;
  event.preventDefault();
});
at("lens").addEventListener("dragover", (event) => {
  event.preventDefault();
  at("lens").classList.add("over");
});
at("lens").addEventListener("dragleave", () => at("lens").classList.remove("over"));
addEventListener("dragover", (event) => event.preventDefault()); // a picture beside the place does not leave the page
addEventListener("drop", (event) => {
  event.preventDefault();
  at("lens").classList.remove("over");
  const picture = firstPicture(event.dataTransfer?.files);
  if (picture) hold(picture);
  else result(...both("ไม่มีภาพในสิ่งที่ปล่อย", "there is no picture in what was dropped"));
});
at("file").addEventListener("change", () => {
  const picture = firstPicture(at("file").files);
  at("file").value = "";
  if (picture) hold(picture);
});
at("hold-text").addEventListener("click", () => holdText(at("text").value));
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter") holdText(at("text").value);
});

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("seen").hidden = true;
}

async function look(open) {
  stop();
  try {
    stream = await open();
  } catch {
    return result(...both("ไม่ได้รับอนุญาตให้ดู หรือไม่มีกล้อง", "not allowed to look, or there is no camera"));
  }
  const mine = stream, until = Date.now() + LOOK_MS_MAX;
  at("seen").srcObject = mine;
  at("seen").hidden = false;
  await at("seen").play();
  while (stream === mine && mine.active && Date.now() < until) {
    const said = await hold(await frame());
    if (said && said.said !== null) break; // something was read
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  if (stream === mine) stop();
}

function frame() {
  const video = at("seen"), scale = Math.min(1, WIDE_PX / video.videoWidth), canvas = made("canvas");
  canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
  canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
at("window").addEventListener("click", () => (stream ? stop() : look(() => navigator.mediaDevices.getDisplayMedia({ video: true }))));
at("camera").addEventListener("click", () => (stream ? stop() : look(() => navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }))));
