// The actions of the last 30 s, a lane for each person.
import { actionName } from "./texts.js";

const SPAN_S = 30;
const MOST_LANES = 4;
// Who was away for longer leaves a gap.
const GAP_S = 2;
const LANE_PX = 26;

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
    canvas.style.height = `${Math.max(lanes.length, 1) * LANE_PX}px`;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(Math.max(lanes.length, 1) * LANE_PX * ratio);
    const context = canvas.getContext("2d");
    const text = getComputedStyle(canvas).color;
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const place = (time) => ((time - this.time + SPAN_S) / SPAN_S) * canvas.width;
    lanes.forEach((lane, row) => {
      const top = row * LANE_PX * ratio;
      for (const { start, end, label } of lane) {
        const left = Math.max(place(start), 0), wide = Math.max(place(end) - left, 1);
        context.fillStyle = colours[label] || "#7a828e";
        context.globalAlpha = label === "unknown" ? 0.35 : 0.55;
        context.fillRect(left, top + 2 * ratio, wide, (LANE_PX - 4) * ratio);
        context.globalAlpha = 1;
        const name = actionName(label);
        if (context.measureText(name).width + 8 * ratio < wide) {
          context.fillStyle = text;
          context.fillText(name, left + 4 * ratio, top + (LANE_PX / 2) * ratio);
        }
      }
    });
  }
}
