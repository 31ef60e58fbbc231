// The browser's side of address_bar.py: the state of the page in its address, and this browser's history of runs.
const HISTORY = "workbench-history";
const MOST_RUNS = 30;
const LONGEST_LINK = 4000;
const LONGEST_KEPT = 20000;
const LETTERS = ["a", "b", "c"];
const PATIENCE_MS = 8000;
const SAID_MS = 8000;
let saying = 0;

function stored(key, fallback) {
  try { return JSON.parse(localStorage.getItem(key)) ?? fallback; } catch { return fallback; }
}

function store(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); return true; } catch { return false; }
}

// ---- values to a link ------------------------------------------------------------------------------------------

const isFile = (value) => typeof value?.path === "string";

function written(value) {
  if (isFile(value)) return "";  // nobody else has it
  if (value && Array.isArray(value.data)) {
    const rows = value.data.map((row) => row.map((cell) => String(cell ?? "")));
    return JSON.stringify(rows.filter((row) => row.some(Boolean)));
  }
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

// What differs from the defaults, as fields of a link.
function fieldsOf(names, defaults, values) {
  const fields = new URLSearchParams();
  names.forEach((name, place) => {
    const value = written(values[place]);
    if (value !== written(defaults[place])) fields.set(name, value);
  });
  return fields;
}

function sidesOf(values) {
  const fields = new URLSearchParams();
  LETTERS.forEach((letter, place) => {
    if (place && !document.getElementById(`side-${letter}-model`)?.offsetParent) return;
    fields.set(letter, values[2 * place] ?? "");
    if (values[2 * place + 1]) fields.set(letter + ".precision", values[2 * place + 1]);
  });
  return fields;
}

// The inner tab that is open.
function innerOf(tab) {
  const list = tab.inner ? [...document.querySelectorAll(`#${tab.inner} > .tab-wrapper [role=tab][data-tab-id]`)] : [];
  const place = list.findIndex((one) => one.getAttribute("aria-selected") === "true");
  return { place, name: place < 0 ? "" : list[place].dataset.tabId };
}

// The values as a run begins: what it sets itself is not known yet.
function undrawn(tab, values) {
  const place = (name) => 2 * LETTERS.length + tab.names.indexOf(name);
  const known = [...values];
  for (const [name, tick] of Object.entries(tab.drawn)) {
    if (values[place(tick)]) known[place(name)] = tab.defaults[tab.names.indexOf(name)];
  }
  return known;
}

// The longest text is left out of what would be too long; the link says so.
function fitted(fields, most) {
  if (fields.toString().length <= most) return fields;
  const [longest] = [...fields].sort((a, b) => b[1].length - a[1].length)[0];
  fields.delete(longest);
  fields.set("left_out", longest);
  return fields;
}

function stateOf(tab, values, most) {
  const fields = new URLSearchParams([["tab", tab.tab], ...sidesOf(values)]);
  const part = innerOf(tab);
  if (part.place > 0) fields.set("part", part.name);
  for (const [name, value] of fieldsOf(tab.names, tab.defaults, values.slice(2 * LETTERS.length))) fields.set(name, value);
  return fitted(fields, most);
}

// ---- the address -----------------------------------------------------------------------------------------------

function replace(fields) {
  const url = new URL(location.href);
  if (fields.get("tab") !== "Runs") url.searchParams.delete("run");
  if (fields.get("tab") !== "Benchmark") url.searchParams.delete("batch");
  url.hash = fields.toString();
  history.replaceState(null, "", url);
}

function say(words) {
  element.querySelector(".page-said").textContent = words;
  clearTimeout(saying);
  saying = setTimeout(() => { element.querySelector(".page-said").textContent = ""; }, SAID_MS);
}

function openTab() {
  return document.querySelector(".tabs > .tab-wrapper [role=tab][aria-selected=true]")?.textContent.trim();
}

// The tab that is open, with the sides' values and its own among those of all tabs.
function shownOf(tabs, values) {
  const name = openTab();
  const sides = values.slice(0, 2 * LETTERS.length);
  let place = sides.length;
  for (const tab of tabs) {
    if (tab.tab === name) return [tab, [...sides, ...values.slice(place, place + tab.names.length)]];
    place += tab.names.length;
  }
  return [];
}

let pressed = "";
let choosing = ""; // the tab whose run has begun and may still choose values itself
const cameBy = location.hash.slice(1);
let isOpened = false;
let arrivals = 0;

function openState(state) {
  if (!state) return;
  if (state.length <= LONGEST_LINK) replace(new URLSearchParams(state));
  trigger("open", { state });
}

function openAddress() {
  if (isOpened) return;
  isOpened = true;
  openState(cameBy);
}

window.workbench = {
  stored, store, fieldsOf,
  // One of the events that a visit begins with has been answered; with the last one the link can be opened.
  arrived(count) {
    arrivals += 1;
    if (arrivals >= count) openAddress();
  },
  // Another tab was opened; an address that names a batch or runs stays as it is, and so does a link not yet read.
  opened([tab], values) {
    const search = new URLSearchParams(location.search);
    if (isOpened && !search.has("batch") && !search.has("run")) replace(stateOf(tab, values, LONGEST_LINK));
  },
  // A text is asked for: told before Gradio's own event, whose values may change while it goes on.
  ran(tabs, values) {
    const [tab, own] = shownOf(tabs, values);
    if (!tab || !tab.runs.includes(pressed)) return;
    const known = undrawn(tab, own);
    replace(stateOf(tab, known, LONGEST_LINK));
    remember(tab, known);
    choosing = tab.tab;
  },
  // A value that the run chose itself, such as a new seed: its link and its entry in the history get it.
  chose(tab, name, value) {
    if (choosing !== tab) return;
    choosing = "";
    const withIt = (state) => { const fields = new URLSearchParams(state); fields.set(name, written(value)); return fields; };
    if (new URLSearchParams(location.hash.slice(1)).get("tab") === tab) replace(withIt(location.hash.slice(1)));
    const [last, ...others] = stored(HISTORY, []);
    if (last?.tab === tab) store(HISTORY, [{ ...last, state: withIt(last.state).toString() }, ...others]);
  },
  async link(tabs, values) {
    const [tab, own] = shownOf(tabs, values);
    const fields = stateOf(tab, own, LONGEST_LINK);
    if (isOpened || !cameBy) replace(fields); // else the link that is not opened yet is the one to copy
    const done = await copied(location.href);
    const short = fields.has("left_out") ? ` It leaves out ${fields.get("left_out")}, too long for a link.` : "";
    say((done ? "The link is copied." : "The link stands in the address bar.") + short);
  },
};

window.addEventListener("hashchange", () => openState(location.hash.slice(1)));
setTimeout(openAddress, PATIENCE_MS); // a list that never comes keeps no link closed
element.querySelector(".page-link").addEventListener("click", () => trigger("link"));
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.key-run");
  if (!button || button.disabled) return;
  pressed = button.id;
  trigger("run");
}, true);

// ---- this browser's runs ---------------------------------------------------------------------------------------

const panel = element.querySelector(".page-history");

function remember(tab, values) {
  const own = values.slice(2 * LETTERS.length);
  const valueOf = (name) => own[tab.names.indexOf(name)];
  const key = tab.inner ? innerOf(tab).name : tab.kind ? written(valueOf(tab.kind)) : "";
  const titles = (tab.titles[key] ?? []).map((name) => (isFile(valueOf(name)) ? valueOf(name).orig_name : written(valueOf(name))));
  const changed = () => [...fieldsOf(tab.names, tab.defaults, own)].map((field) => field.join(": ")).join(", ");
  const about = (titles.length ? titles.find(Boolean) ?? "" : changed()).trim().slice(0, 120);
  const sides = [...sidesOf(values)].filter(([name]) => name.length === 1).map(([, model]) => model);
  const run = { at: Date.now(), tab: tab.tab, about, sides, state: stateOf(tab, values, LONGEST_KEPT).toString() };
  const others = stored(HISTORY, []).filter((one) => one.state !== run.state);
  store(HISTORY, [run, ...others].slice(0, MOST_RUNS));
}

function entry(run) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const title = document.createElement("b");
  const facts = document.createElement("span");
  button.type = "button";
  title.textContent = run.about || run.tab;
  facts.textContent = [run.tab, (run.sides || []).join(" | "), new Date(run.at).toLocaleString()].join(" \u00b7 ");
  button.append(title, facts);
  button.addEventListener("click", () => { panel.close(); openState(run.state); });
  item.append(button);
  return item;
}

function drawHistory() {
  const kept = stored(HISTORY, []);
  const runs = Array.isArray(kept) ? kept.filter((run) => run && typeof run.state === "string") : [];
  panel.querySelector("ol").replaceChildren(...runs.map(entry));
  panel.querySelector(".none").hidden = runs.length > 0;
  panel.querySelector(".clear").disabled = runs.length === 0;
}

element.querySelector(".page-past").addEventListener("click", () => { drawHistory(); panel.showModal(); });
panel.querySelector(".close").addEventListener("click", () => panel.close());
panel.querySelector(".clear").addEventListener("click", () => { store(HISTORY, []); drawHistory(); });
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
panel.addEventListener("keydown", (event) => { if (event.key === "Escape") event.stopPropagation(); });
