// One prospect: what its fields held and when, and the requests for it.

import { ago, el, fill, pretty } from "./parts.js";

const $ = (id) => document.getElementById(id);

export async function openProspect(id) {
  const answer = await fetch(`/sandbox/prospects/${id}`);
  if (!answer.ok) return;
  const told = await answer.json();
  $("one-title").textContent = told.name ? `${told.name} (${told.id})` : `Prospect ${told.id}`;
  fill($("one-story"), held(told), history(told), requests(told));
  if (!$("one").open) $("one").showModal();
}

function text(value) {
  if (value == null) return "empty";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function held({ attributes }) {
  const names = Object.keys(attributes).sort();
  if (!names.length) return el("p", { class: "empty" }, "None of its fields holds anything.");
  return el("dl", { class: "held" },
    ...names.flatMap((name) => [el("dt", {}, name), el("dd", {}, text(attributes[name]))]));
}

function history({ now, history: changes }) {
  if (!changes.length) return el("p", { class: "empty" }, "No field of it has changed.");
  return el("div", {}, el("h3", {}, "History"), el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ...["Field", "Before", "After", "When"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...changes.map(({ at, field, before, after }) => el("tr", {},
      el("td", {}, field), el("td", { class: "quiet" }, text(before)), el("td", {}, text(after)),
      el("td", { class: "quiet" }, ago(now - at))))))));
}

function requests({ now, requests: asked }) {
  if (!asked.length) return el("p", { class: "empty" }, "The log holds no request for it alone.");
  return el("div", { class: "requests" }, el("h3", {}, "Requests"), ...asked.map((one) => el("details", {},
    el("summary", {},
      el("span", { class: `status ${one.status < 300 ? "good" : "warn"}` }, String(one.status ?? "lost")),
      el("span", { class: "method" }, one.method),
      el("span", {}, one.altered ? `${one.altered} changed` : "changed nothing"),
      el("span", { class: "about" }, [one.user, ago(now - one.started_at)].filter(Boolean).join(" · "))),
    one.body ? el("pre", { tabindex: 0 }, pretty(one.body)) : null)));
}
