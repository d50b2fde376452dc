// The phone's camera, or a picture of it: frames go to zxing-wasm, which is loaded when it is first needed.

import { cameraMissing } from "./refusal.js";

const FRAME_MS = 120, FRAME_PX_MAX = 960, PICTURE_PX_MAX = 1_600;
const OPTIONS = { formats: ["QRCode"], maxNumberOfSymbols: 1, tryHarder: true };
let reading = null;

function reader() {
  reading ??= import("./vendor/zxing-wasm/reader/index.js").then((zxing) => {
    const locateFile = () => new URL("vendor/zxing-wasm/reader/zxing_reader.wasm", document.baseURI).href;
    zxing.prepareZXingModule({ overrides: { locateFile } });
    return zxing;
  });
  reading.catch(() => { reading = null; });
  return reading;
}

async function textIn(source, width, height, pxMax) {
  const { readBarcodes } = await reader();
  const share = Math.min(1, pxMax / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.round(width * share), Math.round(height * share));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const [found] = await readBarcodes(context.getImageData(0, 0, canvas.width, canvas.height), OPTIONS);
  return found?.text || null;
}

export async function textInPicture(file) {
  const bitmap = await createImageBitmap(file);
  return textIn(bitmap, bitmap.width, bitmap.height, PICTURE_PX_MAX);
}

// Runs the camera into `video` until `found(text)` answers true or `stop` is called.
export class Camera {
  constructor(video, found) {
    this.video = video;
    this.found = found;
  }

  async start() {
    const wanted = { video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 960 } }, audio: false };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      throw cameraMissing(String(error));
    }
    if (this.isStopped) return this.stop();
    this.video.srcObject = this.stream;
    await this.video.play();
    this.video.dataset.live = "true";
    return this.#look();
  }

  async #look() {
    while (!this.isStopped) {
      const { videoWidth: width, videoHeight: height } = this.video;
      const text = width ? await textIn(this.video, width, height, FRAME_PX_MAX) : null;
      if (text && !this.isStopped && (await this.found(text))) return this.stop();
      await new Promise((resume) => setTimeout(resume, FRAME_MS));
    }
    return undefined;
  }

  stop() {
    this.isStopped = true;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}
