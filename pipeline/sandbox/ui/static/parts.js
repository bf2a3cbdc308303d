// Small builders of elements. Text always goes in as text, never as markup.

export const count = new Intl.NumberFormat();

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  return fill(made, ...children);
}

// Puts children in the place of those that are there; null stands for none.
export function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child != null));
  return parent;
}

export function plural(n, one, many = `${one}s`) {
  return `${count.format(n)} ${n === 1 ? one : many}`;
}

export function ago(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export function span(seconds) {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}

// The same value has the same colour in every audience.
const known = new Map([["realized", 0], ["existing", 1], ["exited", 2]]);
export function colour(value) {
  if (!known.has(value)) known.set(value, 3 + ((known.size - 3) % 5));
  return `k${known.get(value)}`;
}

export function pretty(text) {
  try {
    return JSON.stringify(withoutNulls(JSON.parse(text)), null, 2);
  } catch {
    return text;
  }
}

// A prospect has two hundred attributes, nearly all of them null.
function withoutNulls(value) {
  const attributes = value?.data?.attributes;
  if (!attributes || Object.keys(attributes).length < 50) return value;
  const set = Object.entries(attributes).filter(([, held]) => held !== null);
  const nulls = Object.keys(attributes).length - set.length;
  const shown = { ...Object.fromEntries(set), "…": `and ${nulls} that are null` };
  return { ...value, data: { ...value.data, attributes: shown } };
}
