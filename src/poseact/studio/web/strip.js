// The actions of the last 30 s, a lane for each person.
import { actionName } from "./texts.js";

const SPAN_S = 30;
const MOST_LANES = 4;
// Who was away for longer leaves a gap.
const GAP_S = 2;
// Height of a lane and of its text, as a share of the page's text.
const LANE = 1.6, TEXT = 0.75;

export class Strip {
  constructor() {
    this.lanes = new Map();
  }

  /** Add the people of an answer at a time in s. */
  add(time, people) {
    this.time = time;
    for (const { person, label } of people) {
      if (!label) continue;
      const lane = this.lanes.get(person) ?? [];
      const last = lane.at(-1);
      if (last && last.label === label && time - last.end < GAP_S) last.end = time;
      else lane.push({ start: last && time - last.end < GAP_S ? last.end : time, end: time, label });
      this.lanes.set(person, lane);
    }
    for (const [person, lane] of this.lanes) {
      while (lane.length && lane[0].end < time - SPAN_S) lane.shift();
      if (!lane.length) this.lanes.delete(person);
    }
  }

  /** Draw onto a canvas, whose height follows the number of people. */
  draw(canvas, colours) {
    const ratio = Math.min(devicePixelRatio || 1, 2), lanes = [...this.lanes.values()].slice(-MOST_LANES);
    const { color, fontSize } = getComputedStyle(canvas), size = parseFloat(fontSize), high = LANE * size * ratio;
    canvas.style.height = `${Math.max(lanes.length, 1) * LANE}em`;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(Math.max(lanes.length, 1) * high);
    const context = canvas.getContext("2d");
    context.font = `${TEXT * size * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const place = (time) => ((time - this.time + SPAN_S) / SPAN_S) * canvas.width;
    lanes.forEach((lane, row) => {
      const top = row * high;
      for (const { start, end, label } of lane) {
        const left = Math.max(place(start), 0), wide = Math.max(place(end) - left, 1);
        context.fillStyle = colours[label] || "#7a828e";
        context.globalAlpha = label === "unknown" ? 0.35 : 0.55;
        context.fillRect(left, top + 2 * ratio, wide, high - 4 * ratio);
        context.globalAlpha = 1;
        const name = actionName(label);
        if (context.measureText(name).width + 8 * ratio < wide) {
          context.fillStyle = color;
          context.fillText(name, left + 4 * ratio, top + high / 2);
        }
      }
    });
  }
}
