// A user's budget over the window: what was spent, as bars; what is left, as a line.

import { count, span } from "./parts.js";

const HEIGHT = 132;
const LEFT = 46;
const BOTTOM = 18;
const TOP = 8;

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function plot(user, { now, hour, windows, limit }, wide) {
  const shown = hour * windows;
  const floor = HEIGHT - BOTTOM;
  const x = (at) => LEFT + ((at - now + shown) / shown) * (wide - LEFT);
  const y = (left) => floor - (left / limit) * (floor - TOP);
  const width = Math.max(1.5, (wide - LEFT) / (240 * windows) - 0.4);
  const spent = user.usage.reduce((sum, [at, own, foreign]) => (at > now - hour ? sum + own + foreign : sum), 0);
  const drawing = shape("svg", {
    class: "plot", viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img",
    "aria-label": `${user.name}: ${count.format(spent)} requests spent in the last ${span(hour)}, ${count.format(user.remaining)} left of ${count.format(limit)}`,
  });
  for (const part of [0, 0.5, 1]) {
    drawing.append(
      shape("line", { class: "grid", x1: LEFT, x2: wide, y1: y(part * limit), y2: y(part * limit) }),
      shape("text", { x: LEFT - 6, y: y(part * limit) + 3.5, "text-anchor": "end" }, short(part * limit)),
    );
  }
  for (let window = 1; window < windows; window += 1) {
    const at = x(now - window * hour);
    drawing.append(shape("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: floor }));
  }
  drawing.append(
    shape("text", { x: LEFT, y: HEIGHT - 3 }, `${span(shown)} ago`),
    shape("text", { x: wide, y: HEIGHT - 3, "text-anchor": "end" }, "now"),
  );
  const line = `${remaining(user, limit, x, y)} H${wide} V${y(user.remaining).toFixed(1)}`;
  drawing.append(
    shape("path", { class: "under", d: `${line} L${wide},${floor} L${LEFT},${floor} Z` }),
    shape("path", { class: "left", d: line }),
  );
  const highest = Math.max(1, ...user.usage.map(([, own, foreign, refused]) => own + foreign + refused));
  const tall = (n) => (n / highest) * (floor - TOP) * 0.55;
  for (const [at, ...parts] of user.usage) {
    let base = floor;
    ["own", "foreign", "refused"].forEach((kind, index) => {
      const height = tall(parts[index]);
      if (height) drawing.append(shape("rect", { class: kind, x: Math.max(LEFT, x(at)), y: base - height, width, height }));
      base -= height;
    });
  }
  return drawing;
}

// What is left stands still until something is asked; a window that ended in between
// shows as a rise.
function remaining(user, limit, x, y) {
  let path = `M${LEFT},${y(limit)}`;
  for (const [at, own, foreign, , left] of user.usage) {
    const before = Math.min(limit, left + own + foreign);
    path += ` H${Math.max(LEFT, x(at)).toFixed(1)} V${y(before).toFixed(1)} V${y(left).toFixed(1)}`;
  }
  return path;
}

function short(n) {
  return n >= 1000 ? `${Math.round(n / 100) / 10}k` : String(Math.round(n));
}
