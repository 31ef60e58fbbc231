// The browser's side of answer_view.py. Texts come from people: they enter by textContent only.
const find = (selector) => element.querySelector(selector);
const MOST_MARKED = 20;
let drawn = "";
let shown = {};
let characters = [];
let held = -1;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

const spans = () => shown.n_best || [];
const piece = (span) => characters.slice(span[0], span[1]).join("");
const number = (value) => (Number.isFinite(value) ? value.toFixed(2).replace("-", "\u2212") : "\u2013");
const difference = () => (spans().length ? (shown.null_score ?? -Infinity) - spans()[0][2] : Infinity);
// Without a threshold the best span is the answer, whatever the null score.
const answers = () => spans().length > 0 && !(difference() > (shown.threshold ?? Infinity));

function percent(probability) {
  const value = 100 * probability;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return value.toFixed(value < 9.95 ? 1 : 0) + " %";
}

function duration(seconds) {
  if (seconds < 1) return (1000 * seconds).toFixed(0) + " ms";
  return seconds < 120 ? seconds.toFixed(1) + " s" : Math.floor(seconds / 60) + " min " + (seconds % 60).toFixed(0) + " s";
}

// ---- the passage ---------------------------------------------------------------------------------------------

// Python counts characters where JavaScript counts UTF-16 units: hence the list of characters.
function drawPassage() {
  const box = find(".found-passage");
  box.replaceChildren();
  const marked = spans().slice(0, MOST_MARKED);
  const cuts = [...new Set([0, characters.length, ...marked.flatMap((span) => [span[0], span[1]])])].sort((a, b) => a - b);
  for (let i = 0; i + 1 < cuts.length; i += 1) {
    const text = characters.slice(cuts[i], cuts[i + 1]).join("");
    const over = marked.map((span, rank) => (span[0] <= cuts[i] && cuts[i + 1] <= span[1] ? rank : -1)).filter((rank) => rank >= 0);
    if (!over.length) { box.append(text); continue; }
    const node = make("mark", over[0] === 0 ? "span best" : "span", text);
    node.dataset.ranks = " " + over.join(" ") + " ";
    box.append(node);
  }
}

function look(rank) {
  for (const node of element.querySelectorAll(".looked")) node.classList.remove("looked");
  if (rank < 0) return;
  const row = find('.n-best tr[data-rank="' + rank + '"]');
  if (row) row.classList.add("looked");
  const marks = element.querySelectorAll('mark[data-ranks*=" ' + rank + ' "]');
  for (const node of marks) node.classList.add("looked");
  return marks[0];
}

// Moves the passage alone, never the page.
function bring(node) {
  const box = find(".found-text");
  if (!node) return;
  const top = node.getBoundingClientRect().top - box.getBoundingClientRect().top;
  if (top < 0 || top > box.clientHeight - 40) box.scrollTop += top - box.clientHeight / 3;
}

// ---- the table, the verdict and the scale --------------------------------------------------------------------

function drawTable() {
  const body = find(".n-best tbody");
  body.replaceChildren();
  const rest = 1 - spans().reduce((sum, span) => sum + span[3], 0);
  const rows = spans().map((span, rank) => ({ rank, text: piece(span), score: span[2], p: span[3], at: span[0] + "\u2013" + span[1] }));
  const none = { rank: -1, text: "no answer", score: shown.null_score, p: Math.max(0, rest), at: "" };
  if (shown.n_best) rows.splice(rows.findIndex((row) => row.score < none.score) >>> 0, 0, none);
  for (const row of rows) {
    const line = make("tr", row.rank < 0 ? "none" : "");
    const name = make("th");
    name.scope = "row";
    const button = make(row.rank < 0 ? "em" : "button", "", row.text);
    if (row.rank >= 0) {
      line.dataset.rank = row.rank;
      button.type = "button";
      button.title = row.text;
      button.setAttribute("aria-pressed", row.rank === held);
    }
    name.append(button);
    const p = make("td", "p");
    const share = make("span", "share");
    share.append(make("i"));
    share.firstChild.style.width = 100 * row.p + "%";
    p.append(percent(row.p), share);
    line.append(name, p, make("td", "", number(row.score)), make("td", "at", row.at));
    body.append(line);
  }
}

function drawVerdict() {
  const done = shown.n_best !== undefined;
  const verdict = find(".found-verdict");
  verdict.replaceChildren();
  element.classList.toggle("unanswered", done && !answers());
  if (!done) return;
  if (answers()) verdict.append(make("b", "", piece(spans()[0])));
  else verdict.append(make("em", "", spans().length ? "no answer in the passage" : "no span of the passage qualifies"));
}

function drawScale() {
  const scale = find(".found-scale");
  scale.hidden = !spans().length || shown.threshold === null;
  if (scale.hidden) return;
  const reach = 1.25 * Math.max(1, Math.abs(difference()), Math.abs(shown.threshold));
  const place = (value) => 50 + (50 * value) / reach + "%";
  find(".found-scale .zone").style.left = find(".found-scale .tick").style.left = place(shown.threshold);
  find(".found-scale .dot").style.left = place(difference());
  const words = "\u201cno answer\u201d ahead by " + number(difference()) + ", threshold " + number(shown.threshold);
  find(".found-scale .words").textContent = words;
  scale.setAttribute("aria-label", words + (answers() ? ": it answers" : ": no answer"));
}

function drawFigures() {
  const done = shown.n_best !== undefined;
  const figures = {
    score: spans().length ? number(spans()[0][2]) : "\u2013", null: number(shown.null_score),
    difference: spans().length ? number(difference()) : "\u2013",
    windows: done ? String(shown.windows) : "\u2013", time: done && shown.seconds !== null ? duration(shown.seconds) : "\u2013",
  };
  for (const [name, text] of Object.entries(figures)) find('[data-figure="' + name + '"]').textContent = text;
}

function draw() {
  const value = props.value || "";
  if (value === drawn) return;
  const before = shown;
  drawn = value;
  shown = value ? JSON.parse(value) : {};
  const same = before.context === shown.context && JSON.stringify(before.n_best) === JSON.stringify(shown.n_best);
  if (!same) {
    characters = Array.from(shown.context || "");
    held = -1;
    drawPassage();
    drawTable();
  }
  find(".found").classList.toggle("filled", value !== "");
  drawVerdict();
  drawScale();
  drawFigures();
  for (const button of element.querySelectorAll(".lens-tools button")) button.disabled = !shown.n_best;
  if (!same && spans().length) bring(find("mark.best"));
}

// ---- events --------------------------------------------------------------------------------------------------

const rankOf = (event) => {
  const row = event.target.closest(".n-best tr[data-rank]");
  return row ? Number(row.dataset.rank) : -1;
};

element.addEventListener("mouseover", (event) => {
  if (held < 0) look(rankOf(event));
});
element.addEventListener("focusin", (event) => {
  if (held < 0) bring(look(rankOf(event)));
});
element.addEventListener("mouseleave", () => look(held));

function hold(rank) {
  held = rank === held ? -1 : rank;
  for (const row of element.querySelectorAll(".n-best tr[data-rank]")) {
    row.querySelector("button").setAttribute("aria-pressed", Number(row.dataset.rank) === held);
  }
  bring(look(held));
}

function record() {
  const best = answers() ? spans()[0] : null;
  const plain = (span) => ({ text: piece(span), start: span[0], end: span[1], score: span[2], probability: span[3] });
  const answer = best ? plain(best) : { text: "", start: null, end: null, score: null };
  const { n_best, ...rest } = shown;
  return JSON.stringify({ ...answer, ...rest, n_best: n_best.map(plain) }, null, 1);
}

const actions = {
  async copy(button) {
    const text = answers() ? piece(spans()[0]) : "";
    button.textContent = await copied(text) ? "Copied" : "Copying is not allowed";
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  },
  json() {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([record()], { type: "application/json" }));
    link.download = "answer.json";
    link.click();
    URL.revokeObjectURL(link.href);
  },
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do](button);
  else if (rankOf(event) >= 0) hold(rankOf(event));
});
element.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && held >= 0) { event.stopPropagation(); hold(held); }
});

watch("value", draw);
draw();
for (const button of element.querySelectorAll(".lens-tools button")) button.disabled = true;
