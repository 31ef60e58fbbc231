// ---- lenses of one group tell each other their tokens, and mark where the texts part ------------------------------
const group = find(".lens").dataset.group;
const others = new Map();  // what each other lens of the group last told, by its element
const watcher = new ResizeObserver(() => settleSoon());  // a column that goes, or comes back, changes its size

function tellOthers() {
  if (!group) return;
  const ended = Boolean(result) && result.finish_reason !== "length";
  const told = { group, lens: element, side: head.side || "the other", prompt: prompt(), tokens, ended };
  document.dispatchEvent(new CustomEvent("lens-told", { detail: told }));
}

function alike(one, other) {
  return one[1] === other[1] && (one[1] !== "" || one[0] === other[0]);
}

// The first token that is not the other's: tokens.length where this text ended and the other went on; -1 for none yet.
function partingFrom(other) {
  const both = Math.min(tokens.length, other.tokens.length);
  if (other.mine !== tokens) Object.assign(other, { mine: tokens, same: 0 });  // another text is shown here now
  while (other.same < both && alike(tokens[other.same], other.tokens[other.same])) other.same += 1;
  if (other.same < both) return other.same;
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

let marked = [];  // [index, words, side] of each mark that stands: what stays as it is costs no layout
function markParts() {
  const lines = [], wanted = [];
  for (const other of tokens.length ? shownOthers() : []) {
    const index = partingFrom(other);
    if (index < 0) {
      lines.push(result && other.ended ? "The same text as " + other.side + "." : "The same as " + other.side + " so far.");
      continue;
    }
    const words = partingWords(other, index);
    lines.push("Token " + (index + 1) + (tokens[index] ? " " + words : ": " + other.side + " goes on where this text ends") + ".");
    if (tokens[index]) wanted.push([index, words, other.side]);
  }
  const words = lines.join(" "), place = find(".lens-parts");
  if (place.textContent !== words) place.textContent = words;
  if (JSON.stringify(wanted) === JSON.stringify(marked)) return;
  for (const [index] of marked) unmark(index);
  wanted.forEach(markPart);
  marked = wanted;
}

function unmark(index) {
  const node = nodeAt(index);
  if (!node) return;  // its text is gone
  delete node.dataset.parts;
  delete node.dataset.from;
  describe(node, tokens[index]);
}

function markPart([index, words, side]) {
  const node = nodeAt(index);
  node.dataset.parts = node.dataset.parts ? node.dataset.parts + "; " + words : words;
  node.dataset.from = node.dataset.from ? node.dataset.from + ", " + side : "\u2260 " + side;
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
  const before = others.get(told.lens);
  const known = before && before.tokens === told.tokens ? { mine: before.mine, same: before.same } : {};
  others.set(told.lens, { ...told, ...known });
  settleSoon();
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
