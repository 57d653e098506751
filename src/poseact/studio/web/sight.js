// Pictures of a video element to the server, one in flight, and its answers back.

const LONGEST_SIDE = 640;
const QUALITY = 0.8;
const LATENCIES = 200;

/** Sends the newest picture whenever the last one was answered. */
export class Sight {
  /** onHello(hello), onAnswer(answer) and onError(sentence) are called as they come; onLost when the server is gone. */
  constructor(video, { recogniser, onHello, onAnswer, onError, onLost }) {
    Object.assign(this, { video, recogniser, onHello, onAnswer, onError, onLost });
    this.canvas = document.createElement("canvas");
    this.latencies = [];
    this.answered = [];
    this.encoding = this.inFlight = false;
    this.ready = null;
    this.closed = false;
    this.connect();
    this.next();
  }

  connect() {
    const address = new URL("stream", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("recogniser", this.recogniser);
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.take(JSON.parse(event.data));
    this.socket.onclose = () => {
      this.inFlight = false;
      if (this.closed) return;
      this.onLost?.();
      setTimeout(() => this.closed || this.connect(), 1000);
    };
  }

  take(message) {
    if (message.type === "hello") {
      this.onHello(message);
      return;
    }
    const taken = this.sentAt;
    this.inFlight = false;
    this.push();
    if (message.type !== "answer") {
      this.onError?.(message.message);
      return;
    }
    this.onAnswer(message);
    const now = performance.now();
    // Before the first answer the recogniser is loaded.
    if (this.answered.length) keep(this.latencies, now - taken);
    keep(this.answered, now);
  }

  next() {
    if (this.closed) return;
    this.handle = this.video.requestVideoFrameCallback((now, facts) => {
      this.next();
      this.encode(Math.min(facts.captureTime ?? now, now));
    });
  }

  encode(taken) {
    const { videoWidth: width, videoHeight: height } = this.video;
    // One picture waits at most; encoding more would only cost time.
    if (this.encoding || !width || this.socket.readyState !== WebSocket.OPEN) return;
    this.encoding = true;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.toBlob(async (blob) => {
      const head = new DataView(new ArrayBuffer(8));
      head.setFloat64(0, taken / 1000);
      this.ready = { taken, message: await new Blob([head, blob]).arrayBuffer() };
      this.encoding = false;
      this.push();
    }, "image/jpeg", QUALITY);
  }

  push() {
    if (this.inFlight || !this.ready || this.socket.readyState !== WebSocket.OPEN) return;
    const { taken, message } = this.ready;
    this.ready = null;
    this.inFlight = true;
    this.sentAt = taken;
    this.socket.send(message);
  }

  /** Median and 95th percentile from capture to drawn answer in ms, and answers per second. */
  speed() {
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)];
    const span = (this.answered.at(-1) - this.answered[0]) / 1000;
    return { p50: at(0.5), p95: at(0.95), rate: span > 0 ? (this.answered.length - 1) / span : 0 };
  }

  close() {
    this.closed = true;
    this.video.cancelVideoFrameCallback(this.handle);
    this.socket.close();
  }
}

function keep(list, value) {
  list.push(value);
  if (list.length > LATENCIES) list.shift();
}

/** Start a camera into a video element; returns the stream. */
export async function openCamera(video, device) {
  const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false, video: device ? { ...size, deviceId: { exact: device } } : { ...size, facingMode: "user" },
  });
  video.srcObject = stream;
  await video.play();
  return stream;
}

/** Whether this page may ask for a camera at all. */
export function hasCameraRights() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
