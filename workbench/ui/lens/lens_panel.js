// ---- the panel about one token ----------------------------------------------------------------------------------
const branches = find(".lens").dataset.branches === "yes";

function hints() {
  if (!tokens.length) return "Each token is coloured by its probability: the more colour and the thicker the line, the greater the surprise.";
  const then = branches ? " Click it, then choose what the model could have written instead." : " Click it to hold it.";
  return "Point at a token to see how likely it was." + then;
}

let lookedNode = null;
function inspect(index) {
  looked = index;
  if (lookedNode) {
    lookedNode.classList.remove("looked", "pinned");
    lookedNode.setAttribute("aria-selected", "false");
  }
  lookedNode = null;
  const side = find(".lens-side");
  if (index < 0) {
    const about = head.scores && texts[chosen] ? aboutText(texts[chosen]) : [make("h3", "", "Look inside")];
    side.replaceChildren(...about, make("p", "hint", hints()));
    return;
  }
  const token = tokens[index];
  const node = lookedNode = nodeAt(index);
  node.classList.add("looked");
  node.classList.toggle("pinned", index === pinned);
  node.setAttribute("aria-selected", "true");
  side.replaceChildren(make("h3", "token-name", visible(token[1])), ...facts(token, node), alternatives(token, index));
  if (branches) {
    side.append(make("p", "hint", index === pinned
      ? "Choose one to branch from here. Esc lets go."
      : "Click the token to hold it, then branch."));
  }
}

function facts(token, node) {
  const likely = make("p", "facts");
  likely.append(make("b", "", percent(token[2])));
  if (token[2] !== null) likely.append(" " + BINS[bin(token[2])] + ", rank " + token[3]);
  const found = [likely];
  if (token.length > 5) found.push(make("p", "facts", "log-probability " + nats(token[5])));
  if (typeof token[6] === "number") {
    const times = Math.exp(Math.abs(token[6]));
    const words = Math.abs(token[6]) < 0.05 ? " about as likely as under "
      : " " + (times < 100 ? times.toFixed(1) : times.toPrecision(2)) + " times " + (token[6] > 0 ? "likelier" : "less likely") + " than under ";
    const line = make("p", "facts difference");
    line.append(make("b", "", signed(token[6])), words + (head.scores.other || "the other"));
    found.push(line);
  }
  if (node.dataset.parts) found.push(make("p", "facts parted", node.dataset.parts));
  return found;
}

function alternatives(token, index) {
  const list = make("ul", "others");
  const shown = token[4].some((other) => other[0] === token[0])
    ? token[4] : [...token[4], [token[0], token[1], token[2]]];
  for (const other of shown) {
    const row = make("li");
    row.append(alternative(other, token, index));
    list.append(row);
  }
  return list;
}

function alternative([id, text, probability], token, index) {
  const here = id === token[0];
  const node = make(branches ? "button" : "div", "other");
  const bar = make("span", "other-bar");
  bar.style.width = Math.max(1, 100 * probability) + "%";
  node.append(bar, make("span", "other-text", visible(text)), " ", make("span", "other-p", percent(probability)));
  if (here) node.classList.add("chosen");
  if (!branches) return node;
  node.type = "button";
  node.disabled = here;
  node.title = here ? "Written here" : "Branch with this token";  // its name is what it shows
  if (!here) node.addEventListener("click", () => branch([...tokens.slice(0, index).map((item) => item[0]), id]));
  return node;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// A text that is still being written is stopped first: one lens shows one text. Gradio takes no new event before
// the stopped one has left, and does not say when that is; hence a few tries.
async function branch(ids) {
  const stop = document.querySelector("#stop");
  if (stop && !stop.disabled) {
    stop.click();
    for (let waited = 0; !stop.disabled && waited < 5000; waited += 50) await pause(50);
  }
  const shown = writings;
  for (let tries = 0; writings === shown && tries < 5; tries += 1) {
    trigger("submit", { ids });
    await pause(300);
  }
}
