// The browser's side of why_view.py. Texts come from people: they enter by textContent only.
const find = (selector) => element.querySelector(selector);
let drawn = "";
let head = null;
let letters = [];
let deltas = new Map();
let looked = -1;
let current = 0;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
const nodes = () => find(".why-pieces").querySelectorAll(".piece");
const visible = (text) => text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5").trim() || "\u00b7";

function words(index) {
  const [start, end] = head.pieces[index];
  const text = "\u201c" + visible(letters.slice(start, end).join("")) + "\u201d";
  const delta = deltas.get(start);
  if (delta === undefined) return text + " is not asked yet";
  if (Math.abs(delta) < 0.005) return text + " changes hardly anything";
  return text + " " + signed(delta) + (delta > 0 ? ", carried the answer" : ", spoke against it");
}

// The space before or after a piece stays outside of its colour.
function drawText() {
  const box = find(".why-pieces");
  box.replaceChildren();
  letters = [...head.text];  // Python counts characters where JavaScript counts UTF-16 units
  let at = 0;
  head.pieces.forEach(([start, end], index) => {
    if (at < start) box.append(letters.slice(at, start).join(""));
    const text = letters.slice(start, end).join("");
    const core = text.trim() || text;
    const lead = text.indexOf(core);
    box.append(text.slice(0, lead));
    const node = make("span", "piece", core);
    node.dataset.i = index;
    node.tabIndex = index === 0 ? 0 : -1;
    node.setAttribute("role", "option");
    box.append(node, text.slice(lead + core.length));
    at = end;
  });
  if (at < letters.length) box.append(letters.slice(at).join(""));
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", "Pieces of the text");
}

function colour() {
  const largest = Math.max(0.05, ...[...deltas.values()].map(Math.abs));
  nodes().forEach((node, index) => {
    const delta = deltas.get(head.pieces[index][0]);
    const strength = delta === undefined ? 0 : Math.ceil((4 * Math.abs(delta)) / largest - 0.4);
    node.className = "piece" + (delta === undefined ? " waiting" : strength > 0 ? (delta > 0 ? " for s" : " against s") + strength : "");
    if (index === looked) node.classList.add("looked");
    node.setAttribute("aria-label", words(index));
  });
}

function state() {
  const asked = deltas.size, count = head.pieces.length;
  find(".why-what").textContent = head.what;
  const part = head.whole > count ? ", the first of " + head.whole : "";
  find(".found-verdict").textContent = "\u201c" + head.answer + "\u201d: " + asked + " of " + count + " pieces measured" + part;
}

function look(index) {
  looked = index;
  nodes().forEach((node, other) => node.classList.toggle("looked", other === index));
  find(".why-look").textContent = index < 0
    ? (head && deltas.size ? "Point at a piece, or walk with the arrow keys, to see its number." : "")
    : words(index);
}

function clear() {
  drawn = "";
  head = null;
  deltas = new Map();
  looked = -1;
  current = 0;
  const box = find(".why-pieces");
  box.replaceChildren();
  box.removeAttribute("role");
  box.removeAttribute("aria-label");
  find(".found-verdict").textContent = "";
  find(".why-look").textContent = "";
}

function draw() {
  const value = props.value || "";
  if (value === drawn) return;
  if (!value.startsWith(drawn)) clear();
  for (const line of value.slice(drawn.length).split("\n")) {
    if (!line) continue;
    const item = JSON.parse(line);
    if (Array.isArray(item)) deltas.set(item[0], item[2]);
    else { head = item; drawText(); }
  }
  drawn = value;
  find(".why").classList.toggle("filled", value !== "");
  if (!head) return;
  colour();
  state();
  look(looked);
}

function indexOf(event) {
  const node = event.target.closest(".why-pieces .piece");
  return node ? Number(node.dataset.i) : -1;
}

function move(to) {
  const all = nodes();
  const next = Math.min(all.length - 1, Math.max(0, to));
  if (all[current]) all[current].tabIndex = -1;
  all[next].tabIndex = 0;
  current = next;
  all[next].focus();
}

for (const name of ["mouseover", "focusin", "click"]) {
  element.addEventListener(name, (event) => {
    const index = indexOf(event);
    if (index >= 0 && index !== looked) look(index);
  });
}
element.addEventListener("keydown", (event) => {
  const index = indexOf(event);
  if (index < 0) return;
  const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: nodes().length - 1 };
  if (event.key in steps) { move(steps[event.key]); event.preventDefault(); }
});

watch("value", draw);
draw();
