// ---- what the visitor does ----------------------------------------------------------------------------------------

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

function fileName(ending) {
  const words = [find("h2").textContent, head.model || "", head.side || ""];
  return words.join(" ").toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 80) + ending;
}

function save(ending, type, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = fileName(ending);
  link.click();
  URL.revokeObjectURL(link.href);
}

function plain(token) {
  const found = {
    id: token[0], text: token[1], probability: token[2], rank: token[3],
    alternatives: token[4].map((other) => ({ id: other[0], text: other[1], probability: other[2] })),
  };
  if (token.length > 5) Object.assign(found, { logprob: token[5], difference: token[6] });
  return found;
}

function record() {
  const found = head.scores
    ? { ...head.scores, texts: texts.map((text) => ({ ...text, tokens: text.tokens.map(plain) })) }
    : { ...head, text: continuation(), ...result, tokens: tokens.map(plain) };
  return JSON.stringify(found, null, 1);
}

function toggled(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", on);
  return on;
}

const actions = {
  colours(button) { find(".lens").classList.toggle("plain", !toggled(button)); },
  difference(button) { find(".lens").classList.toggle("differing", toggled(button)); },
  async copy(button) {
    button.textContent = await copied(prompt() + continuation()) ? "Copied" : "Copying is not allowed";
    button.focus();
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  },
  text() { save(".txt", "text/plain", prompt() + continuation()); },
  json() { save(".json", "application/json", record()); },
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
  const text = event.target.closest("[data-text]");
  if (button) actions[button.dataset.do](button);
  else if (text) pick(Number(text.dataset.text));
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
meetOthers();
