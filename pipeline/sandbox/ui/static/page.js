// Keeps the page in step with the sandbox: word of a change, then one look at the state.

import { ago, colour, count, el, fill, plural, pretty, span } from "./parts.js";
import { plot } from "./plot.js";
import { openProspect } from "./prospect.js";

const LOOK_AT_MOST_EVERY = 700;
const FRESH_SECONDS = 30;

const $ = (id) => document.getElementById(id);
const view = { search: "", field: "", value: "", order: "id", page: 1, size: 25 };
let state = null;
let looking = false;
let lookAgain = false;
let faults = {};

async function look() {
  if (looking) {
    lookAgain = true;
    return;
  }
  looking = true;
  try {
    const answer = await fetch(`/sandbox/state?${new URLSearchParams(view)}`);
    state = await answer.json();
    draw();
  } catch {
    say("Lost the sandbox", "bad");
  } finally {
    setTimeout(() => {
      looking = false;
      if (lookAgain) {
        lookAgain = false;
        look();
      }
    }, LOOK_AT_MOST_EVERY);
  }
}

function follow() {
  const events = new EventSource("/sandbox/events");
  events.onopen = () => say("Live", "good");
  events.onmessage = () => document.hidden || look();
  events.onerror = () => say("Reconnecting…", "warn");
  document.addEventListener("visibilitychange", () => document.hidden || look());
  // Budgets come back by themselves, and what is fresh grows old.
  setInterval(() => document.hidden || look(), 5000);
}

function say(text, tone) {
  const live = $("live");
  if (live.textContent !== text) live.textContent = text;
  live.className = `pill ${tone}`;
}

function draw() {
  drawTiles();
  drawViolations();
  drawBatches();
  drawAudiences();
  drawBudgets();
  drawProspects();
  if (!$("pause").checked) drawRequests();
}

function drawTiles() {
  const { prospects, accounts, requests, statuses, unaltering } = state.counts;
  const broken = Object.values(state.violations.counts).reduce((sum, n) => sum + n, 0);
  const tiles = [
    ["Prospects", prospects],
    accounts ? ["Accounts", accounts] : null,
    ["Requests", requests],
    ["Throttled (429)", statuses[429] ?? 0, "warn"],
    ["Never answered", statuses.None ?? 0, "warn"],
    ["Changed nothing", unaltering, "warn"],
    ["Violations", broken, "bad"],
  ].filter(Boolean);
  fill($("tiles"),
    ...tiles.map(([name, n, tone]) => el("div", { class: n && tone }, el("dt", {}, name), el("dd", {}, count.format(n)))),
  );
}

const BROKEN = {
  overlap: "two writes in flight for one record",
  over_limit: "more than the limit within one window's length",
  impatient: "asked again before the instant of a 429",
  token_hurry: "two token requests within a minute",
  token_reuse: "a refresh token or code used twice",
  everybody: "a bulk action without ids, which is for everybody",
  batch_overlap: "a prospect written while a batch writes the same field",
};

function drawViolations() {
  const { counts, latest } = state.violations;
  const box = $("violations");
  box.hidden = !latest.length;
  const told = JSON.stringify(counts);
  if (box.dataset.told === told) return;
  box.dataset.told = told;
  if (!latest.length) {
    fill(box);
    return;
  }
  fill(box,
    el("strong", {}, "A careful client would not have done this:"),
    el("ul", {}, ...Object.entries(counts).map(([kind, n]) => {
      const example = latest.find((each) => each.kind === kind);
      const whose = example?.user ? ` (${example.user})` : "";
      return el("li", {}, `${count.format(n)} × ${BROKEN[kind] ?? kind}${example ? ` — ${example.detail}${whose}` : ""}`);
    })),
  );
}

function drawAudiences() {
  const box = $("audiences");
  if (!state.audiences.length) {
    fill(box, el("p", { class: "empty" }, "No custom field holds anything yet."));
    return;
  }
  const focused = document.activeElement?.dataset?.key;
  fill(box, ...state.audiences.map(drawAudience));
  if (focused) box.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function drawAudience({ field, label, values, others, empty }) {
  const held = values.reduce((sum, [, n]) => sum + n, others);
  const bar = el("div", { class: "bar", "aria-hidden": "true" });
  for (const [value, n] of [...values, [null, others], [undefined, empty]]) {
    if (!n) continue;
    const part = el("i", { class: value == null ? "kx" : colour(value) });
    part.style.flexGrow = n;
    bar.append(part);
  }
  return el("div", { class: "audience" },
    el("h3", {}, label, el("code", {}, field), el("span", {}, `${count.format(held)} of ${count.format(held + empty)}`)),
    bar,
    el("ul", { class: "values" }, ...values.map(([value, n]) =>
      el("li", {}, el("button", {
        type: "button", "data-key": `${field}=${value}`, title: value,
        "aria-pressed": String(view.field === field && view.value === value),
        onclick: () => choose(field, value),
      }, el("span", { class: `dot ${colour(value)}` }), el("em", {}, value), el("b", {}, count.format(n))))),
    others ? el("li", {}, el("span", {}, `${count.format(others)} with other values`)) : null));
}

function choose(field, value) {
  const same = view.field === field && view.value === value;
  Object.assign(view, { field: same ? "" : field, value: same ? "" : value, page: 1 });
  look();
}

function drawBatches() {
  $("bulk").hidden = !state.batches.length;
  fill($("batches"), ...state.batches.map((each) => {
    const set = Object.entries(each.attributes).map(([name, value]) => `${name} = ${value === null ? "nothing" : value}`);
    const whom = each.everyone ? `everybody (${count.format(each.records)})` : `${count.format(each.records)} prospects`;
    const failed = each.failures ? `, ${count.format(each.failures)} could not be` : "";
    return el("li", {},
      el("span", { class: `pill ${each.everyone || each.state === "failed" ? "bad" : ""}` }, each.state),
      ` ${each.id}: ${set.join(", ")} for ${whom}${failed} (${each.user})${each.fault ? ` — ${each.fault}` : ""}`);
  }));
}

function drawBudgets() {
  const box = $("budgets");
  const { users, limit, hour } = state;
  $("budgets-hint").textContent = limit
    ? `${count.format(limit)} requests a user in ${span(hour)}; the last ${state.windows} such windows are shown. Bars are requests, the line is what is left.`
    : "No limit is set.";
  if (!users.length) fill(box, el("p", { class: "empty" }, "Nobody has asked for anything yet."));
  else for (const stale of box.querySelectorAll(":scope > .empty")) stale.remove();
  users.forEach((user, index) => {
    let card = box.children[index];
    if (card?.dataset.user !== user.name) {
      card = newBudget(user.name);
      box.insertBefore(card, box.children[index] ?? null);
    }
    const back = user.reset - state.now;
    const spentAny = user.remaining < limit;
    fill(card.querySelector("h3"), user.name, el("span", {},
      ...(limit
        ? [el("b", {}, count.format(user.remaining)), " left", spentAny && back > 0 ? `, more in ${span(back)}` : ""]
        : ["no limit"])));
    const figure = card.querySelector("figure");
    const tallest = Math.max(0, ...user.usage.map(([, own, foreign, refused]) => own + foreign + refused));
    card.querySelector(".tallest").textContent = tallest ? `tallest bar: ${count.format(tallest)} in ${span(hour / 240)}` : "";
    if (limit) fill(figure, plot(user, state, figure.clientWidth));
  });
}

function newBudget(name) {
  const figure = el("figure", {});
  figure.style.margin = 0;
  const order = (action) => () => send("/sandbox/tokens", { user: name, action });
  return el("div", { class: "budget", "data-user": name },
    el("h3", {}),
    figure,
    el("p", { class: "legend" },
      ...[["own", "spent"], ["foreign", "spent by other tools"], ["refused", "refused (429)"], ["left", "left"]]
        .map(([kind, text]) => el("span", {}, el("i", { class: kind }), text)),
      el("span", { class: "tallest" })),
    el("details", { class: "disturb" },
      el("summary", {}, `Disturb ${name}`),
      el("form", { class: "line", onsubmit: (event) => {
        event.preventDefault();
        send("/sandbox/foreign", { user: name, requests: event.target.elements.requests.valueAsNumber });
      } },
      el("label", {}, "Other tools spend ", el("input", { type: "number", name: "requests", min: 1, max: 10000000, value: 1000, required: true })),
      el("button", {}, "Spend")),
      el("p", { class: "line" },
        el("button", { type: "button", onclick: order("expire") }, "Expire access tokens"),
        el("button", { type: "button", onclick: order("revoke") }, "Revoke all tokens"))));
}

function drawProspects() {
  const { total, page, pages, columns, rows } = state.prospects;
  if (page > pages) {
    view.page = pages;
    look();
    return;
  }
  const named = rows.some((row) => row.name);
  const focused = document.activeElement?.dataset?.id;
  fill($("columns"),
    el("th", { scope: "col" }, "Id"),
    named ? el("th", { scope: "col" }, "Name") : null,
    ...columns.map(({ name, label }) => el("th", { scope: "col" }, label, label === name ? null : el("small", {}, name))),
    el("th", { scope: "col" }, "Updated"),
  );
  fill($("rows"), ...rows.map((row) => el("tr", {},
    el("td", { class: "number" }, el("button", {
      type: "button", class: "link", "data-id": row.id, "aria-label": `Prospect ${row.id}: its history and requests`,
      onclick: () => openProspect(row.id),
    }, String(row.id))),
    named ? el("td", {}, row.name ?? "") : null,
    ...columns.map(({ name }) => cell(row, name)),
    el("td", { class: "quiet" }, ago(state.now - row.updated_at)))));
  if (!rows.length) $("rows").append(el("tr", {}, el("td", { class: "empty", colspan: columns.length + 3 },
    view.search || view.field ? "No prospect matches." : "There are no prospects. Start the sandbox with --prospects N, or send some.")));
  if (focused) $("rows").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  const box = $("rows").closest(".scroll");
  $("wider").hidden = box.scrollWidth <= box.clientWidth;
  const first = (page - 1) * view.size + 1;
  const place = total ? `${count.format(first)} to ${count.format(first + rows.length - 1)} of ${plural(total, "prospect")}` : "";
  if ($("place").textContent !== place) $("place").textContent = place;
  $("previous").disabled = page <= 1;
  $("next").disabled = page >= pages;
  const chip = $("filter");
  chip.hidden = !view.field;
  if (view.field) {
    const label = state.audiences.find((each) => each.field === view.field)?.label ?? view.field;
    fill(chip, `${label} is ${view.value}`,
      el("button", { type: "button", "aria-label": "Show all prospects", onclick: () => choose(view.field, view.value) }, "✕"));
  }
}

function cell(row, name) {
  const value = row.attributes[name];
  const altered = row.altered[name];
  const shown = value == null ? "" : typeof value === "string" ? value : JSON.stringify(value);
  if (!altered) return el("td", { class: value == null && "quiet", title: shown }, shown || "—");
  const before = altered.before == null ? "empty" : String(altered.before);
  const when = ago(state.now - altered.at);
  return el("td", {
    class: state.now - altered.at < FRESH_SECONDS && "fresh",
    title: `${shown || "cleared"}, was ${before}, ${when}`,
  }, shown || "—", altered.before == null ? null : el("span", { class: "was" }, "was ", el("s", {}, before)));
}

function drawRequests() {
  const box = $("requests");
  const { requests, now } = state;
  if (!requests.length) {
    fill(box, el("p", { class: "empty" }, "Nothing was asked yet."));
    return;
  }
  for (const stale of box.querySelectorAll(":scope > .empty")) stale.remove();
  const kept = new Map([...box.children].map((each) => [Number(each.dataset.number), each]));
  const top = box.firstElementChild;
  const shown = requests.map((request) => {
    const entry = kept.get(request.number) ?? newEntry(request.number);
    kept.delete(request.number);
    drawSummary(entry.firstElementChild, request, now);
    return entry;
  });
  // Only what moves is moved: an entry that is open, or has the focus, stays as it is.
  for (const entry of kept.values()) if (!entry.open) entry.remove();
  for (const entry of shown.filter((each) => !each.isConnected).reverse()) box.prepend(entry);
  if (top && box.scrollTop > 0) box.scrollTop += top.offsetTop - box.firstElementChild.offsetTop;
}

function newEntry(number) {
  return el("details", { "data-number": number, ontoggle: open }, el("summary", {}));
}

async function open(event) {
  const entry = event.target;
  if (!entry.open || entry.children.length > 1) return;
  const answer = await fetch(`/sandbox/requests/${entry.dataset.number}`);
  if (!answer.ok) {
    entry.append(el("p", { class: "hint" }, "The log no longer holds this request."));
    return;
  }
  const { body, answer: given } = await answer.json();
  if (body) entry.append(el("h4", {}, "Asked"), el("pre", { tabindex: 0 }, pretty(body)));
  entry.append(el("h4", {}, "Answered"), el("pre", { tabindex: 0 }, given == null ? "no longer kept, or never sent" : pretty(given)));
}

function drawSummary(summary, request, now) {
  const { status, finished_at: finished, started_at: started } = request;
  const tone = status == null ? (finished ? "bad" : "") : status < 300 ? "good" : status < 500 ? "warn" : "bad";
  const about = [
    request.fault?.replaceAll("_", " "),
    request.method === "PATCH" && status === 200 && !request.altered ? "changed nothing" : null,
    request.user,
    finished ? `${Math.max(0, Math.round((finished - started) * 1000))} ms` : "in flight",
    ago(now - started),
  ].filter(Boolean).join(" · ");
  fill(summary,
    el("span", { class: `status ${tone}` }, status == null ? (finished ? "lost" : "…") : String(status)),
    el("span", { class: "method" }, request.method),
    el("code", { class: "path", title: request.query ? `${request.path}?${request.query}` : request.path },
      request.path.replace("/api/v2", ""), request.query ? `?${decodeURIComponent(request.query)}` : ""),
    el("span", { class: "about" }, about),
  );
}

async function send(path, body, method = "POST") {
  const status = $("faults-status");
  const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const content = await answer.json();
  status.textContent = content.error ?? "";
  look();
  return answer.ok ? content : null;
}

function drawFaults() {
  const form = $("faults");
  for (const [name, meaning] of Object.entries(faults.meaning)) {
    let row = form.querySelector(`[data-fault="${name}"]`);
    if (!row) {
      row = el("label", { class: "fault", "data-fault": name }, el("span", {}, meaning),
        el("input", { type: "range", name, min: 0, max: 100, step: 1, oninput: tell, onchange: set }),
        el("output", {}));
      form.append(row);
    }
    const input = row.querySelector("input");
    input.value = Math.round(faults[name] * 100);
    tell({ target: input });
  }
  const on = Object.keys(faults.meaning).filter((name) => faults[name] > 0).length;
  const trouble = $("trouble");
  const maintained = faults.maintenance_until;
  trouble.hidden = !on && !maintained;
  trouble.textContent = maintained ? "In maintenance" : `${plural(on, "fault")} on`;
  $("calm").disabled = !on && !maintained;
}

function tell({ target }) {
  const row = target.closest(".fault");
  row.classList.toggle("on", target.value > 0);
  row.querySelector("output").textContent = `${target.value} %`;
  target.setAttribute("aria-valuetext", `${target.value} of a hundred`);
}

async function set({ target }) {
  faults = (await send("/sandbox/faults", { [target.name]: target.value / 100 })) ?? faults;
  drawFaults();
}

async function readFaults() {
  faults = await (await fetch("/sandbox/faults")).json();
  if (!$("faults").contains(document.activeElement)) drawFaults();
}

$("url").textContent = location.origin;
$("search").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("input", () => {
  const { search, order } = Object.fromEntries(new FormData($("search")));
  Object.assign(view, { search, order, page: 1 });
  look();
});
$("previous").addEventListener("click", () => { view.page -= 1; look(); });
$("next").addEventListener("click", () => { view.page += 1; look(); });
$("pause").addEventListener("change", () => state && draw());
$("calm").addEventListener("click", async () => {
  faults = (await send("/sandbox/faults", {}, "DELETE")) ?? faults;
  drawFaults();
});
$("maintenance").addEventListener("submit", async (event) => {
  event.preventDefault();
  const seconds = event.target.elements.seconds.valueAsNumber;
  faults = (await send("/sandbox/faults", { maintenance_for_seconds: seconds })) ?? faults;
  drawFaults();
});

addEventListener("resize", () => state && draw());

readFaults();
setInterval(() => document.hidden || readFaults(), 5000);
look();
follow();
