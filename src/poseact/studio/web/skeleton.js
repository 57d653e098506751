// Drawing of people over a picture.
import { actionName } from "./texts.js";

// As in the drawn videos: these differ for every kind of colour blindness.
const SIDES = { left: "#40a9ff", right: "#ff8c1a", centre: "#fafafa" };
const OUTLINE = "rgba(24,27,33,.85)";
const LEAST = 0.3;

function side(name) {
  return name.startsWith("left") ? "left" : name.startsWith("right") ? "right" : "centre";
}

/** Fit a canvas to the box in which its video is shown, and clear it. */
export function fit(canvas, size) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const scale = Math.min(width / size[0], height / size[1]);
  return { context, scale, left: (width - size[0] * scale) / 2, top: (height - size[1] * scale) / 2, width };
}

/** Draw the answer of a picture; colours gives the colour of an action's label. */
export function drawPeople(canvas, answer, hello, { mirror = false, colours = {} } = {}) {
  const { context, scale, left, top, width } = fit(canvas, answer.size);
  const place = ([x, y]) => [mirror ? width - left - x * scale : left + x * scale, top + y * scale];
  for (const person of answer.people) {
    const joints = person.joints.map((joint) => joint && joint[2] >= LEAST ? place(joint) : null);
    const known = joints.filter(Boolean);
    if (known.length < 2) continue;
    const ys = known.map((joint) => joint[1]), xs = known.map((joint) => joint[0]);
    const tall = Math.max(Math.max(...ys) - Math.min(...ys), Math.max(...xs) - Math.min(...xs));
    const thick = Math.max(tall * 0.014, 2);
    context.lineCap = "round";
    for (const [extra, outlined] of [[thick, true], [0, false]]) {
      for (const [a, b] of hello.limbs) {
        if (!joints[a] || !joints[b]) continue;
        const [one, two] = [side(hello.joints[a]), side(hello.joints[b])];
        context.strokeStyle = outlined ? OUTLINE : SIDES[one === "centre" ? two : one];
        context.lineWidth = thick + extra;
        context.beginPath();
        context.moveTo(...joints[a]);
        context.lineTo(...joints[b]);
        context.stroke();
      }
    }
    joints.forEach((joint, index) => {
      if (!joint) return;
      context.fillStyle = SIDES[side(hello.joints[index])];
      context.beginPath();
      context.arc(...joint, thick * 1.1, 0, 2 * Math.PI);
      context.fill();
    });
    if (person.label) drawLabel(context, person, xs, ys, width, colours);
  }
}

function drawLabel(context, person, xs, ys, width, colours) {
  const size = Math.max(Math.round(width / 42), 15);
  const text = `${actionName(person.label)} ${Math.round(100 * person.probability)} %`;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + size * 1.7;
  const x = Math.min(Math.max((Math.min(...xs) + Math.max(...xs) - wide) / 2, 0), Math.max(width - wide, 0));
  const y = Math.max(Math.min(...ys) - size * 2.6, 0);
  context.fillStyle = "rgba(20,23,28,.82)";
  context.beginPath();
  context.roundRect(x, y, wide, size * 1.7, size * 0.4);
  context.fill();
  context.fillStyle = colours[person.label] || "#9aa2ad";
  context.fillRect(x + size * 0.45, y + size * 0.5, size * 0.55, size * 0.7);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + size * 1.3, y + size * 0.88);
}
