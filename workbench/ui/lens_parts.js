// ---- lenses of one group tell each other their tokens, and mark where the texts part ------------------------------
const group = find(".lens").dataset.group;
const others = new Map();  // what each other lens of the group last told, by its element
const watcher = new ResizeObserver(markParts);  // a column that goes, or comes back, changes its size

function tellOthers() {
  if (!group) return;
  const ended = Boolean(result) && result.finish_reason !== "length";
  const told = { group, lens: element, side: head.side || "the other", prompt: prompt(), tokens, ended };
  document.dispatchEvent(new CustomEvent("lens-told", { detail: told }));
  markSoon();
}

function alike(one, other) {
  return one[1] === other[1] && (one[1] !== "" || one[0] === other[0]);
}

// The first token that is not the other's: tokens.length where this text ended and the other went on; -1 for none yet.
function partingFrom(other) {
  const both = Math.min(tokens.length, other.tokens.length);
  for (let index = 0; index < both; index += 1) if (!alike(tokens[index], other.tokens[index])) return index;
  const mineEnded = Boolean(result) && result.finish_reason !== "length";
  if (tokens.length > both && other.ended) return both;
  if (other.tokens.length > both && mineEnded) return both;
  return -1;
}

// What the other has in the place where the texts part, and how likely that was here.
function partingWords(other, index) {
  const there = other.tokens[index];
  if (!there) return "parts from " + other.side + ", which ends here";
  const here = tokens[index] && tokens[index][4].find((one) => one[0] === there[0] && one[1] === there[1]);
  const known = here ? ", which had " + percent(here[2]) + " here" : "";
  return "parts from " + other.side + ", which has \u201c" + visible(there[1]) + "\u201d" + known;
}

function shownOthers() {
  for (const lens of others.keys()) if (!lens.isConnected) others.delete(lens);
  return [...others.values()].filter((other) => other.lens.isConnected && other.lens.offsetParent && other.tokens.length
    && other.prompt === prompt());
}

// Once a frame, however many lenses tell: whether one is visible can only be asked after the page was laid out anew.
let marking = 0;
function markSoon() {
  marking = marking || requestAnimationFrame(() => { marking = 0; markParts(); });
}

function markParts() {
  for (const node of element.querySelectorAll(".tok[data-parts]")) {
    delete node.dataset.parts;
    delete node.dataset.from;
    describe(node, tokens[Number(node.dataset.i)]);
  }
  const lines = [];
  for (const other of tokens.length ? shownOthers() : []) {
    const index = partingFrom(other);
    if (index < 0) {
      lines.push(result && other.ended ? "The same text as " + other.side + "." : "The same as " + other.side + " so far.");
      continue;
    }
    const words = partingWords(other, index);
    lines.push("Token " + (index + 1) + (tokens[index] ? " " + words : ": " + other.side + " goes on where this text ends") + ".");
    if (tokens[index]) markPart(index, other, words);
  }
  find(".lens-parts").textContent = lines.join(" ");
}

function markPart(index, other, words) {
  const node = find('.lens-tokens .tok[data-i="' + index + '"]');
  node.dataset.parts = node.dataset.parts ? node.dataset.parts + "; " + words : words;
  node.dataset.from = node.dataset.from ? node.dataset.from + ", " + other.side : "\u2260 " + other.side;
  describe(node, tokens[index]);
}

function heard(event) {
  if (!element.isConnected) {  // the column was taken away: a new one has ears of its own
    document.removeEventListener("lens-told", heard);
    document.removeEventListener("lens-asked", answer);
    watcher.disconnect();
    return;
  }
  const told = event.detail;
  if (told.group !== group || told.lens === element) return;
  if (!others.has(told.lens)) watcher.observe(told.lens);
  others.set(told.lens, told);
  markSoon();
}

function answer(event) {
  if (event.detail.group === group && event.detail.lens !== element && element.isConnected) tellOthers();
}

function meetOthers() {
  if (!group) return;
  document.addEventListener("lens-told", heard);
  document.addEventListener("lens-asked", answer);
  document.dispatchEvent(new CustomEvent("lens-asked", { detail: { group, lens: element } }));
}
