// The browser's side of saved_presets.py: named settings in this browser's storage, as the fields of a link.
const PRESETS = "workbench-presets";
const MOST_PRESETS = 100;
const find = (selector) => element.querySelector(selector);
const list = find(".preset-list");
const { stored, store, fieldsOf } = window.workbench;

function saved() {
  const found = stored(PRESETS, {});
  return found && typeof found === "object" && !Array.isArray(found) ? found : {};
}

function draw(chosen) {
  const names = Object.keys(saved()).sort((a, b) => a.localeCompare(b));
  list.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
  if (!names.length) list.replaceChildren(new Option("None yet", ""));
  list.disabled = find(".preset-load").disabled = find(".preset-delete").disabled = !names.length;
}

function say(words) {
  find(".preset-said").textContent = words;
}

function save() {
  const name = find(".preset-name").value.trim();
  if (!name) return say("Write a name first.");
  if (Object.keys(saved()).length >= MOST_PRESETS && !(name in saved())) return say("The list is full: delete some first.");
  trigger("save");
}

// Called with the controls' values once Save was pressed, in whichever place it was.
window.workbench.savePreset = (place, names, defaults, values) => {
  const box = document.querySelector(`#${place} .preset-name`);
  const name = box.value.trim();
  const all = { ...saved(), [name]: fieldsOf(names, defaults, values).toString() };
  const done = store(PRESETS, all);
  if (done) box.value = "";
  window.dispatchEvent(new CustomEvent("workbench-presets", { detail: name }));
  document.querySelector(`#${place} .preset-said`).textContent = done
    ? `Saved as ${name}.`
    : "This browser keeps nothing: its storage is full or switched off.";
};

find(".preset-save").addEventListener("click", save);
find(".preset-name").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) save();
});
find(".preset-load").addEventListener("click", () => {
  trigger("load_preset", { state: saved()[list.value] ?? "" });
  say(`${list.value} is loaded.`);
});
find(".preset-delete").addEventListener("click", () => {
  const { [list.value]: gone, ...rest } = saved();
  store(PRESETS, rest);
  say(`${list.value} is deleted.`);
  window.dispatchEvent(new CustomEvent("workbench-presets", { detail: "" }));
});
window.addEventListener("workbench-presets", (event) => draw(event.detail));
draw("");
