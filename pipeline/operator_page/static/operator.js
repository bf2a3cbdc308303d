// Draws the ledger's state, and again whenever it has changed.

const $ = (id) => document.getElementById(id);
const count = new Intl.NumberFormat();
const KINDS = ["delivered", "unchanged", "superseded", "rejected", "deferred"];
let looking = false;
let again = false;

function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null && child !== ""));
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child != null));
}

async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  try {
    const answer = await read("/api/status");
    const state = await answer.json();
    if (answer.ok) {
      draw(state);
      await lookReceipts();
    } else say(state.error, "bad");
  } catch {
    say("Lost the page's server", "bad");
  } finally {
    setTimeout(() => {
      looking = false;
      if (again) {
        again = false;
        look();
      }
    }, 700);
  }
}

// Where the page is private, reading needs the token too.
function read(path) {
  const token = $("token").value;
  return fetch(path, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
}

function follow() {
  const events = new EventSource("/api/events");
  events.onopen = () => say("Live", "good");
  events.onmessage = () => document.hidden || look();
  events.onerror = () => say("Reconnecting…", "warn");
  document.addEventListener("visibilitychange", () => document.hidden || look());
  setInterval(() => document.hidden || look(), 5000);
}

function say(text, tone) {
  const live = $("live");
  if (live.textContent !== text) live.textContent = text;
  live.className = `pill ${tone}`;
}

function when(time) {
  return time == null ? "—" : new Date(time).toLocaleString();
}

function draw(state) {
  $("ledger").textContent = state.ledger ?? "";
  const hour = state.last_hour;
  const tiles = [
    ["Changes ever", state.totals.changes ?? 0],
    ["Delivered, last hour", hour.delivered ?? 0],
    ["Unchanged, last hour", hour.unchanged ?? 0],
    ["Rejected, last hour", hour.rejected ?? 0],
    ["Waiting", state.waiting.changes],
    ["In the inbox", state.messages.waiting],
  ];
  fill($("tiles"), ...tiles.map(([name, n]) => el("div", {}, el("dt", {}, name), el("dd", {}, count.format(n)))));
  fill($("alerts"), ...state.alerts.map((each) => el("p", { class: "alert" }, each.text)));
  drawFunnel(state.funnel);
  drawOrg(state);
  drawBatches(state.batches);
  drawActions(state);
  drawSources(state);
  drawPast(state.past_alerts);
  drawHeld(state.held.filter((each) => each.released_at == null));
  fill($("audience-rows"), ...state.audiences.map((each) => el("tr", {},
    el("td", {}, each.name, el("small", {}, each.segment ?? "")),
    el("td", {}, el("code", {}, each.field)),
    ...["delivered", "unchanged", "superseded", "rejected"].map((kind) => el("td", { class: "number" }, count.format(each.outcomes[kind] ?? 0))),
    el("td", { class: "number" }, count.format(each.waiting)),
    el("td", { class: "number" }, each.segment ? count.format(each.members) : "—"),
    el("td", { class: "number" }, each.freshness ? `${lasting(each.freshness.p50)} / ${lasting(each.freshness.p99)}` : "—"))));
  fill($("users"), ...state.users.map((user) => drawUser(user, state.spending.find((each) => each.user === user.name))));
  drawTime(state.over_time);
  nameAudiences(state.audiences);
  drawLetters(state.dead_letters);
}

// Seconds, as a person says them.
function lasting(seconds) {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

// The content security policy allows no style attributes, and lets a script set a style.
function weighed(part) {
  part.style.flexGrow = part.dataset.share;
  return part;
}

function drawHeld(held) {
  $("held").hidden = !held.length;
  fill($("held-list"), ...held.map((each) => el("p", {},
    `${each.name}: ${count.format(each.exits)} of its ${count.format(each.members)} known members leave at once. ${count.format(each.changes)} changes wait. `,
    el("button", { type: "button", onclick: () => send("/api/release", { segment: each.segment }, `${each.name} is let go`) }, "Let it go"))));
}

const SPANS = { hour: "hour", day: "day", week: "week" };

function drawFunnel(funnel) {
  fill($("funnel"), ...Object.entries(SPANS).map(([span, name]) => el("tr", {}, el("td", {}, name),
    ...["received", "superseded", "unchanged", "delivered", "rejected", "deferred", "waiting"].map((kind) => el("td", { class: "number" }, count.format(funnel[span][kind]))))));
}

function drawOrg({ directory, left_fields: left, reconcile }) {
  const lines = [];
  if (directory) {
    lines.push(`${count.format(directory.prospects)} are in the directory, as of ${when(directory.fresh_at)}${directory.pulling ? "; it is being read" : ""}.`
      + (directory.unresolved ? ` ${count.format(directory.unresolved)} changes wait for their prospect to be found.` : ""));
  }
  for (const field of left) lines.push(`${field.field} still holds in ${count.format(field.prospects)} prospects what ${field.name} was written there, and nothing writes it any more. To empty it: outreach-activation clear ${field.field}`);
  if (reconcile) {
    const sum = (name) => count.format(reconcile.audiences.reduce((all, each) => all + each[name], 0));
    lines.push(`Checked ${when(reconcile.ended_at)}: ${sum("same")} values are as they should be, ${sum("different")} differ, ${sum("gone")} are of prospects that are gone.`);
  }
  $("org").hidden = !lines.length;
  fill($("org-lines"), ...lines.map((line) => el("p", {}, line)));
}

function drawBatches(batches) {
  $("bulk").hidden = !batches.length;
  fill($("batches"), ...batches.map((each) => el("tr", {},
    el("td", { class: "number" }, count.format(each.number)),
    el("td", {}, el("code", {}, `${each.field} = ${JSON.stringify(each.value)}`)),
    el("td", {}, each.state),
    el("td", { class: "number" }, count.format(each.prospects)),
    el("td", { class: "number" }, count.format(each.kept)),
    el("td", {}, each.note ?? ""))));
}

function drawSources({ sources, refusals }) {
  $("sources").hidden = !sources.length && !refusals;
  const refused = refusals?.sources ?? [];
  $("refused").hidden = !refused.length;
  $("refused-since").textContent = refusals
    ? `${refused.length ? "Counted" : "Nothing was refused"} since ${when(refusals.since)}, when the job was started. The ledger does not keep this: it is gone when the job ends.`
    : "Only the page of a job that listens (run --listen --page_port) knows this: the ledger does not keep it.";
  fill($("refused-rows"), ...refused.flatMap((source) => source.reasons.map((each) => el("tr", {},
    el("td", {}, source.source),
    el("td", { class: "number" }, each.status),
    el("td", {}, el("code", {}, each.reason)),
    el("td", { class: "number" }, count.format(each.count)),
    el("td", {}, when(each.last_at))))));
  fill($("source-rows"), ...sources.map((each) => el("tr", {},
    el("td", {}, each.name),
    el("td", {}, when(each.last_at)),
    ...[each.last_hour, each.last_day, each.waiting].map((n) => el("td", { class: "number" }, count.format(n))))));
}

function drawPast(alerts) {
  $("past").hidden = !alerts.length;
  fill($("past-alerts"), ...alerts.map((each) => el("li", {}, `${when(each.since)} to ${when(each.over_at)}: ${each.text}`)));
}

function drawActions({ actions, paused_at: paused }) {
  $("pause").hidden = paused != null;
  $("resume").hidden = paused == null;
  if (paused != null) $("alerts").append(el("p", { class: "alert" }, `Sending is paused since ${when(paused)}.`));
  fill($("actions"), ...actions.map((each) => el("li", {}, `${when(each.at)}: ${each.action} ${each.detail}`)));
}

function nameAudiences(audiences) {
  const select = $("filter").elements.segment;
  const named = audiences.filter((each) => each.segment);
  if (select.options.length === named.length + 1) return;
  fill(select, el("option", { value: "" }, "all"), ...named.map((each) => el("option", { value: each.segment }, each.name)));
}

async function lookReceipts() {
  const asked = new URLSearchParams(new FormData($("filter")));
  const answer = await read(`/api/receipts?${asked}`);
  if (!answer.ok) return;
  const { receipts } = await answer.json();
  fill($("receipts"), ...(receipts.length ? receipts.map((each) => el("tr", {},
    el("td", {}, when(each.recorded_at)),
    el("td", { class: "number" }, each.outreach_id ?? "unknown"),
    el("td", {}, el("code", {}, each.field)),
    el("td", {}, JSON.stringify(each.value)),
    el("td", {}, each.outcome, el("small", {}, each.reason ?? "")),
    el("td", {}, each.http_status ?? "", el("small", {}, each.detail ?? "")),
    el("td", {}, each.user ?? ""))) : [el("tr", {}, el("td", { colspan: 7, class: "hint" }, "There are none."))]));
}

function drawUser(user, spending) {
  const share = user.allowance ? user.available / user.allowance : 0;
  return el("div", { class: "user" },
    el("h3", {}, user.name),
    user.paused ? el("p", { class: "alert" }, user.paused) : null,
    el("div", { class: "bar", role: "img", "aria-label": `${user.available} of ${user.allowance} requests left` },
      weighed(el("i", { class: "left", "data-share": share })), weighed(el("i", { class: "spent", "data-share": 1 - share }))),
    el("p", { class: "hint" }, `${count.format(user.available ?? 0)} of ${count.format(user.allowance ?? 0)} requests left`
      + (user.prospects ? `; ${count.format(user.prospects)} prospects wait, the last until ${when(user.empty_at)}` : "")),
    ...(spending ? drawn(spending.figure) : []));
}

function drawTime({ began, ended, outcomes, figure }) {
  const legend = el("p", { class: "legend" }, ...KINDS.map((kind) => el("span", {}, el("i", { class: kind }), kind)));
  if (!outcomes.length) {
    fill($("time"), el("p", { class: "hint" }, "Nothing has ended yet."), legend);
    return;
  }
  fill($("time"), ...drawn(figure), legend);
  fill($("time").querySelector(".ends"), el("span", {}, when(began)), el("span", {}, when(ended)));
}

// A plot, as the server drew it and the report has it; all text in it was escaped there.
function drawn(figure) {
  return new DOMParser().parseFromString(figure, "text/html").body.childNodes;
}

// A link cannot show the token, which saving needs: what it leads to is fetched with it.
async function save(event) {
  event.preventDefault();
  const answer = await read(event.currentTarget.getAttribute("href"));
  if (!answer.ok) {
    $("said").textContent = (await answer.json()).error;
    return;
  }
  const href = URL.createObjectURL(await answer.blob());
  el("a", { href, download: "dead-letters.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}

function drawLetters(letters) {
  $("save-letters").hidden = !letters.length;
  if (!letters.length) {
    fill($("letters"), el("tr", {}, el("td", { colspan: 4, class: "hint" }, "There are none.")));
    return;
  }
  const focused = document.activeElement?.dataset?.reason;
  fill($("letters"), ...letters.map((each) => el("tr", {},
    el("td", {}, el("code", {}, each.reason)),
    el("td", { class: "number" }, count.format(each.letters)),
    el("td", {}, each.example, el("small", {}, each.source)),
    el("td", {}, el("button", { type: "button", "data-reason": each.reason, onclick: () => send("/api/retry", { reason: each.reason }, `${each.reason}: the job tries them again`) }, "Try again"),
      " ", el("a", { href: `/api/dead-letters.jsonl?${new URLSearchParams({ reason: each.reason })}`, download: "dead-letters.jsonl", onclick: save, "aria-label": `Download ${each.reason}` }, "Download")))));
  if (focused) document.querySelector(`[data-reason="${CSS.escape(focused)}"]`)?.focus();
}

async function send(path, body, done) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${$("token").value}` },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({ error: answer.statusText }));
  $("said").textContent = answer.ok ? done : said.error;
  look();
}

const ENTRIES = 30;

// What became of a field's changes, oldest first.
function timeline(entries) {
  const older = entries.length - ENTRIES;
  return el("ol", { class: "timeline" },
    older > 0 ? el("li", {}, el("span", {}, `${count.format(older)} older ones are not shown`)) : null,
    ...entries.slice(-ENTRIES).map((each) => el("li", {},
      el("time", { datetime: each.at }, when(each.at)),
      el("span", {}, el("code", {}, JSON.stringify(each.value)), " ", el("strong", {}, each.outcome), each.why ? `: ${each.why}` : ""))));
}

$("look").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = event.target.elements.id.value;
  const answer = await read(`/api/prospects/${encodeURIComponent(id)}`);
  const told = await answer.json();
  if (!answer.ok) {
    fill($("prospect"), el("p", { class: "hint" }, told.error));
    return;
  }
  const lines = told.fields.map((field) => el("div", { class: "field" },
    el("h3", {}, field.field, field.audience ? ` (${field.audience})` : ""),
    el("p", {}, field.known ? `holds ${JSON.stringify(field.value)}${field.doubted ? ", perhaps" : ""}, confirmed ${when(field.confirmed_at)}` : "nothing is known of it"),
    timeline(field.timeline)));
  lines.push(...told.excluded.map((each) => el("p", { class: "hint" }, `${when(each.recorded_at)}: ${each.what} was kept out. ${each.detail}`)));
  fill($("prospect"), ...(lines.length ? lines : [el("p", { class: "hint" }, `The ledger knows nothing of prospect ${id}.`)]));
});

$("save-letters").addEventListener("click", save);
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  look();
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", lookReceipts);
for (const [name, done] of [["pause", "sending is paused"], ["resume", "it goes on"], ["reconcile", "the job checks what Outreach holds"]]) {
  $(name).addEventListener("click", () => send(`/api/${name}`, {}, done));
}

look();
follow();
