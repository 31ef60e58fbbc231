// The browser's side of token_view.py. Texts come from people and from a model: they enter by textContent only.
const find = (selector) => element.querySelector(selector);
const LIMITS = [0.01, 0.05, 0.2, 0.5];
const BINS = ["surprising", "unlikely", "possible", "likely", "very likely"];
const SHOWN_PROMPT_CHARACTERS = 700;
let drawn = "";
let head = {};
let result = null;
let tokens = [];
let pinned = -1;
let looked = -1;
let current = 0;
let texts = 0;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function bin(probability) {
  return LIMITS.filter((limit) => probability >= limit).length;
}

function percent(probability) {
  const value = 100 * probability;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return value.toFixed(value < 9.95 || value > 99 && value < 100 ? 1 : 0) + " %";
}

function visible(text) {
  if (text === "") return "part of a character";
  return text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5").replace(/ /g, "\u00b7");
}

function continuation() {
  return result ? result.text : tokens.map((token) => token[1]).join("");
}

function prompt() {
  return (head.request && head.request.prompt) || "";
}

// ---- drawing -------------------------------------------------------------------------------------------------

function clear() {
  texts += 1;
  drawn = "";
  head = {};
  result = null;
  tokens = [];
  pinned = looked = -1;
  current = 0;
  find(".lens-tokens").replaceChildren();
  find(".lens-prompt").textContent = "";
}

function drawHead() {
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
  node.setAttribute("aria-label", visible(token[1]) + ", " + percent(token[2]));
  if (token[1] === "") node.classList.add("half");
  const forced = (head.request && head.request.forced) || [];
  if (forced.length && index === forced.length - 1) node.classList.add("branch");
  return node;
}

// The tokens of a stop text are not part of the result; they stay to be looked at, crossed out.
function markCut() {
  let end = 0;
  tokens.forEach((token, index) => {
    end += token[1].length;
    if (end > result.text.length && token[1]) find('.tok[data-i="' + index + '"]').classList.add("cut");
  });
}

function draw() {
  const value = props.value || "";
  if (value === drawn) return;
  if (!value.startsWith(drawn)) clear();
  const box = find(".lens-text");
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const added = document.createDocumentFragment();
  for (const line of value.slice(drawn.length).split("\n")) {
    if (!line) continue;
    const item = JSON.parse(line);
    if (item.result) result = item.result;
    else if (item.request) { head = item; drawHead(); }
    else { added.append(drawToken(item, tokens.length)); tokens.push(item); }
  }
  drawn = value;
  find(".lens-tokens").append(added);
  if (result) markCut();
  const list = find(".lens-tokens");
  if (tokens.length) { list.setAttribute("role", "listbox"); list.setAttribute("aria-label", "Tokens"); }
  else { list.removeAttribute("role"); list.removeAttribute("aria-label"); }
  find(".lens").classList.toggle("filled", value !== "");
  for (const button of element.querySelectorAll(".lens-tools button")) button.disabled = value === "";
  if (follows) box.scrollTop = box.scrollHeight;
  if (looked >= tokens.length || looked < 0) inspect(-1);
}

// ---- the side panel ------------------------------------------------------------------------------------------

function inspect(index) {
  looked = index;
  for (const node of element.querySelectorAll(".tok.looked")) {
    node.classList.remove("looked", "pinned");
    node.setAttribute("aria-selected", "false");
  }
  const side = find(".lens-side");
  if (index < 0) {
    side.replaceChildren(
      make("h3", "", "Look inside"),
      make("p", "hint", tokens.length
        ? "Point at a token to see how likely it was. Click it, then choose what the model could have written instead."
        : "Each token will be coloured by its probability: the more colour and the thicker the line, the greater the surprise."));
    return;
  }
  const token = tokens[index];
  const node = find('.tok[data-i="' + index + '"]');
  node.classList.add("looked");
  node.classList.toggle("pinned", index === pinned);
  node.setAttribute("aria-selected", "true");
  const facts = make("p", "facts");
  facts.append(make("b", "", percent(token[2])), " " + BINS[bin(token[2])] + ", rank " + token[3]);
  side.replaceChildren(make("h3", "token-name", visible(token[1])), facts, alternatives(token, index));
  side.append(make("p", "hint", index === pinned
    ? "Choose one to branch from here. Esc lets go."
    : "Click the token to hold it, then branch."));
}

function alternatives(token, index) {
  const list = make("ul", "others");
  const shown = token[4].some((other) => other[0] === token[0])
    ? token[4] : [...token[4], [token[0], token[1], token[2]]];
  for (const [id, text, probability] of shown) {
    const button = make("button", "other");
    button.type = "button";
    const bar = make("span", "other-bar");
    bar.style.width = Math.max(1, 100 * probability) + "%";
    button.append(bar, make("span", "other-text", visible(text)), make("span", "other-p", percent(probability)));
    if (id === token[0]) {
      button.disabled = true;
      button.classList.add("chosen");
      button.setAttribute("aria-label", visible(text) + ", " + percent(probability) + ", written here");
    } else {
      button.setAttribute("aria-label", "Branch with " + visible(text) + ", " + percent(probability));
      button.addEventListener("click", () => branch([...tokens.slice(0, index).map((item) => item[0]), id]));
    }
    const row = make("li");
    row.append(button);
    list.append(row);
  }
  return list;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A text that is still being written is stopped first: one view shows one text. Gradio takes no new event before
// the stopped one has left, and does not say when that is; hence a few tries.
async function branch(ids) {
  const stop = document.querySelector("#stop");
  if (stop && !stop.disabled) {
    stop.click();
    for (let waited = 0; !stop.disabled && waited < 5000; waited += 50) await pause(50);
  }
  const shown = texts;
  for (let tries = 0; texts === shown && tries < 5; tries += 1) {
    trigger("submit", { ids });
    await pause(300);
  }
}

// One token at a time is in the order of the Tab key: the one that was looked at last.
function settle(index) {
  const nodes = find(".lens-tokens").children;
  if (nodes[current]) nodes[current].tabIndex = -1;
  nodes[index].tabIndex = 0;
  current = index;
}

function pin(index) {
  pinned = index === pinned ? -1 : index;
  settle(index);
  inspect(index);
}

function indexOf(event) {
  const node = event.target.closest(".lens-tokens .tok");
  return node ? Number(node.dataset.i) : -1;
}

function move(to) {
  const next = Math.min(tokens.length - 1, Math.max(0, to));
  settle(next);
  pinned = -1;
  find(".lens-tokens").children[next].focus();
}

// ---- events --------------------------------------------------------------------------------------------------

function save(name, type, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

// A page that came over plain http from another machine has no navigator.clipboard; the older way still works there.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function record() {
  const plain = (token) => ({
    id: token[0], text: token[1], probability: token[2], rank: token[3],
    alternatives: token[4].map((other) => ({ id: other[0], text: other[1], probability: other[2] })),
  });
  return JSON.stringify({ ...head, text: continuation(), ...result, tokens: tokens.map(plain) }, null, 1);
}

const actions = {
  colours(button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", on);
    find(".lens").classList.toggle("plain", !on);
  },
  async copy(button) {
    button.textContent = await copied(prompt() + continuation()) ? "Copied" : "Copying is not allowed";
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  },
  text() { save("continuation.txt", "text/plain", prompt() + continuation()); },
  json() { save("continuation.json", "application/json", record()); },
};

element.addEventListener("mouseover", (event) => {
  const index = indexOf(event);
  if (pinned < 0 && index >= 0 && index !== looked) inspect(index);
});
element.addEventListener("focusin", (event) => {
  const index = indexOf(event);
  if (pinned < 0 && index >= 0) inspect(index);
});
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do](button);
  else if (indexOf(event) >= 0) pin(indexOf(event));
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (pinned >= 0) event.stopPropagation();  // it lets go of the token; the next one may stop the text
    pinned = -1;
    inspect(-1);
    return;
  }
  const index = indexOf(event);
  if (index < 0) return;
  const steps = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tokens.length - 1 };
  if (event.key in steps) { move(steps[event.key]); event.preventDefault(); }
  if ((event.key === "Enter" || event.key === " ") && !event.ctrlKey) { pin(index); event.preventDefault(); }
});

watch("value", draw);
inspect(-1);
draw();
