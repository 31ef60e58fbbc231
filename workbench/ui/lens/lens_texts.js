// ---- scored texts, of which one is shown ----------------------------------------------------------------------
let texts = [];
let chosen = 0;
let lastPicked = null;  // the name of the text that the visitor picked, which a new value keeps

function clearTexts() {
  texts = [];
  chosen = 0;
  find(".lens-choice").replaceChildren();
}

function drawTexts() {
  const again = texts.findIndex((text) => text.name === lastPicked);
  const wanted = again >= 0 ? again : head.scores.chosen;
  showText(Math.min(Math.max(0, wanted), texts.length - 1));
  const list = find(".lens-choice");
  const nodes = texts.length > 1 ? texts.map(choice) : [];
  list.replaceChildren(...nodes);
}

// Full for the likeliest text, nearly empty for the least likely one.
function share(text) {
  const known = texts.map((one) => one.loglikelihood).filter((value) => value !== null);
  const low = Math.min(...known), high = Math.max(...known);
  if (text.loglikelihood === null) return 0;
  return high > low ? 0.04 + 0.96 * (text.loglikelihood - low) / (high - low) : 1;
}

function choice(text, index) {
  const button = make("button", "lens-pick");
  button.type = "button";
  button.dataset.text = index;
  button.setAttribute("aria-pressed", index === chosen);
  const bar = make("span", "other-bar");
  bar.style.width = 100 * share(text) + "%";
  button.append(bar, make("span", "pick-name", text.name), make("span", "pick-score", nats(text.loglikelihood)));
  if (typeof text.difference === "number") button.append(make("span", "pick-difference", signed(text.difference)));
  if (text.note) button.append(make("span", "pick-note", text.note));
  return button;
}

function showText(index) {
  chosen = index;
  tokens = texts[index] ? texts[index].tokens : [];
  pinned = looked = -1;
  current = 0;
  marked = [];
  drawPrompt();
  find(".lens-tokens").replaceChildren(...tokens.map(drawToken));
  for (const button of element.querySelectorAll(".lens-pick"))
    button.setAttribute("aria-pressed", Number(button.dataset.text) === index);
  inspect(-1);
  showBeginning();
}

// A long prompt stands above: the tokens are what is to be seen.
function showBeginning() {
  const box = find(".lens-text"), first = find(".lens-tokens .tok");
  if (first) box.scrollTop += first.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 3;
}

function pick(index) {
  lastPicked = texts[index].name;
  showText(index);
  frame();
}

// What is told of a scored text as a whole, beside its tokens.
function aboutText(text) {
  const count = text.tokens.length;
  const facts = make("dl", "lens-facts");
  const fact = (name, value) => { const cell = make("div"); cell.append(make("dt", "", name), make("dd", "", value)); facts.append(cell); };
  fact("log-likelihood", nats(text.loglikelihood));
  fact("tokens", String(count));
  if (text.loglikelihood !== null && count) {
    fact("a token", nats(text.loglikelihood / count));
    const perplexity = Math.exp(-text.loglikelihood / count);
    fact("perplexity", perplexity.toLocaleString("en", { maximumSignificantDigits: 3 }));
  }
  if (typeof text.difference === "number") fact("against " + (head.scores.other || "the other"), signed(text.difference));
  const nodes = [make("h3", "token-name", text.name), facts];
  if (text.note) nodes.push(make("p", "hint", text.note));
  return nodes;
}
