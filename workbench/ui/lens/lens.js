// The browser's side of lens.py: what it knows, and how it is drawn. lens_texts.js lets scored texts be picked,
// lens_panel.js tells about one token, lens_parts.js compares lenses, lens_events.js hears the visitor.
// Texts come from people and from a model: they enter by textContent only.
const find = (selector) => element.querySelector(selector);
const LIMITS = [0.01, 0.05, 0.2, 0.5];
const BINS = ["surprising", "unlikely", "possible", "likely", "very likely"];
const DOUBLE = Math.log(2);
const SHOWN_PROMPT_CHARACTERS = 700;
let drawn = "";
let head = {};
let result = null;
let tokens = [];  // of the text that is shown
let pinned = -1;
let looked = -1;
let current = 0;
let writings = 0;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

// A server elsewhere may not tell how likely a token was: null.
function bin(probability) {
  if (probability === null) return -1;
  return LIMITS.filter((limit) => probability >= limit).length;
}

function percent(probability) {
  if (probability === null) return "not told how likely";
  const value = 100 * probability;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return value.toFixed(value < 9.95 || value > 99 && value < 100 ? 1 : 0) + " %";
}

function signed(value) {
  const shown = Math.abs(value).toFixed(2);
  return shown === "0.00" ? "\u00b10" : (value > 0 ? "+" : "\u2212") + shown;
}

function nats(value) {
  return value === null ? "\u2212\u221e" : value.toFixed(2).replace("-", "\u2212");
}

function visible(text) {
  if (text === "") return "part of a character";
  return text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5").replace(/ /g, "\u00b7");
}

function continuation() {
  return result ? result.text : tokens.map((token) => token[1]).join("");
}

function prompt() {
  return head.scores ? (texts[chosen] ? texts[chosen].prompt : "") : (head.request && head.request.prompt) || "";
}

const nodeAt = (index) => find(".lens-tokens").children[index];

function clear() {
  writings += 1;
  drawn = "";
  head = {};
  result = null;
  tokens = [];
  pinned = looked = -1;
  current = 0;
  follows = true;
  marked = [];
  clearTexts();
  find(".lens-tokens").replaceChildren();
  find(".lens-prompt").textContent = "";
}

function drawPrompt() {
  const whole = prompt();
  const cut = whole.length > SHOWN_PROMPT_CHARACTERS;
  find(".lens-prompt").textContent = cut ? "\u2026" + whole.slice(-SHOWN_PROMPT_CHARACTERS) : whole;
}

// A token's leading space stays outside the coloured core, so that no colour hangs at the end of a line.
function pieces(text) {
  if (text.startsWith("\n")) return [make("span", "core break"), text];
  const core = text.trimStart() || text;
  return [text.slice(0, text.length - core.length), make("span", "core", core)];
}

function drawToken(token, index) {
  const node = make("span", "tok p" + bin(token[2]));
  node.append(...pieces(token[1]));
  node.dataset.i = index;
  node.tabIndex = index === 0 ? 0 : -1;
  node.setAttribute("role", "option");
  node.setAttribute("aria-selected", "false");
  if (token[1] === "") node.classList.add("half");
  const forced = (head.request && head.request.forced) || [];
  if (forced.length && index === forced.length - 1) node.classList.add("branch");
  if (typeof token[6] === "number") drawDifference(node, token[6]);
  describe(node, token);
  return node;
}

// The number stands in an attribute, which the style sheet shows: a text that is selected and copied stays itself.
function drawDifference(node, difference) {
  const place = node.querySelector(".core.break") || node;  // before the break, not on the line after it
  place.dataset.difference = signed(difference);
  const strength = Math.abs(difference) >= DOUBLE ? 2 : Math.abs(difference) >= 0.1 ? 1 : 0;
  if (strength) node.classList.add((difference > 0 ? "more" : "less") + strength);
}

function describe(node, token) {
  const words = [visible(token[1]), percent(token[2])];
  if (typeof token[6] === "number") words.push(signed(token[6]) + " against " + (head.scores.other || "the other"));
  if (node.dataset.parts) words.push(node.dataset.parts);
  node.setAttribute("aria-label", words.join(", "));
}

// The tokens of a stop text are not part of the result; they stay to be looked at, crossed out.
function markCut() {
  let end = 0;
  tokens.forEach((token, index) => {
    end += token[1].length;
    if (end > result.text.length && token[1]) nodeAt(index).classList.add("cut");
  });
}

function take(item) {
  if (item.result) result = item.result;
  else if (item.named) head = { ...head, ...item.named };
  else if (item.request || item.scores) { head = item; drawPrompt(); }
  else if (item.text) texts.push({ ...item.text, tokens: [] });
  else if (head.scores) texts[texts.length - 1].tokens.push(item);
  else return true;
  return false;
}

// Whether the end is in view: asked when the box is scrolled, since asking after a change lays out the whole text.
let follows = true;
find(".lens-text").addEventListener("scroll", () => {
  const box = find(".lens-text");
  follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
});

// A value that grew costs what is new in it, however long the text is by then.
function draw() {
  const value = props.value || "";
  if (value === drawn) return;
  if (!value.startsWith(drawn)) clear();
  const before = tokens.length;
  const added = document.createDocumentFragment();
  for (const line of value.slice(drawn.length).split("\n")) {
    if (!line) continue;
    const item = JSON.parse(line);
    if (take(item)) { added.append(drawToken(item, tokens.length)); tokens.push(item); }
  }
  drawn = value;
  find(".lens-tokens").append(added);
  if (head.scores) drawTexts();
  if (result) markCut();
  frame();
  if (looked >= tokens.length || looked < 0 && (head.scores || !before)) inspect(-1);
  tellOthers();
  settleSoon();
}

// Once a frame, however many lenses and updates there are: what needs the page laid out anew.
let settling = 0;
function settleSoon() {
  settling = settling || requestAnimationFrame(() => {
    settling = 0;
    markParts();
    const box = find(".lens-text");
    if (follows && !head.scores) box.scrollTop = box.scrollHeight;
  });
}

// What around the tokens depends on them.
function frame() {
  const list = find(".lens-tokens");
  if (tokens.length) { list.setAttribute("role", "listbox"); list.setAttribute("aria-label", "Tokens"); }
  else { list.removeAttribute("role"); list.removeAttribute("aria-label"); }
  const differs = texts.some((text) => text.tokens.some((token) => typeof token[6] === "number"));
  find(".lens-model").textContent = head.scores && head.scores.model ? " \u00b7 " + head.scores.model : "";
  find(".lens-other").textContent = (head.scores && head.scores.other) || "the other";
  const marks = find(".lens").classList;
  marks.toggle("filled", drawn !== "");
  marks.toggle("writing", Boolean(head.request) && !result);
  find('[data-do="difference"]').hidden = !differs;
  marks.toggle("differing", differs && find('[data-do="difference"]').getAttribute("aria-pressed") === "true");
  for (const button of element.querySelectorAll(".lens-tools button")) button.disabled = drawn === "";
}
