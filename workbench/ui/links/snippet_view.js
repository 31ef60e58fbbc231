// The browser's side of snippet_view.py: one text at a time, put in by textContent, with a button that copies it.
const find = (selector) => element.querySelector(selector);
const panel = find(".code-panel");
let ways = [];
let chosen = 0;

function ask() {
  if (panel.open) trigger("look", { url: location.origin + location.pathname });
}

function draw() {
  const shown = ways[chosen] || ways[0];
  find(".code-ways").replaceChildren(...ways.map((way, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = way.name;
    button.setAttribute("aria-pressed", String(way === shown));
    button.addEventListener("click", () => { chosen = place; draw(); find(".code-ways").children[place].focus(); });
    return button;
  }));
  find("pre").textContent = shown ? shown.text : "";
  find(".code-copy").disabled = !shown;
}

watch("value", () => {
  let told = [];
  try { told = JSON.parse(props.value || "[]"); } catch { /* nothing to show */ }
  const focused = find(".code-ways").contains(document.activeElement);
  ways = Array.isArray(told) ? told : [];
  draw();
  if (focused) find(".code-ways").children[chosen]?.focus();
  if (told.error) find("pre").textContent = told.error;
});

panel.addEventListener("toggle", ask);
panel.addEventListener("pointerenter", ask); // the controls may have moved since
find(".code-copy").addEventListener("click", async () => {
  const done = await copied(find("pre").textContent);
  find(".code-said").textContent = done ? "Copied." : "Select the text and copy it.";
  setTimeout(() => { find(".code-said").textContent = ""; }, 4000);
});
