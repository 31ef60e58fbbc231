// The head of the page: the light and dark switch, and the keys that work on every tab.
const STORED = "workbench-theme";
const asked = new URLSearchParams(location.search).get("__theme");
const stored = (() => { try { return localStorage.getItem(STORED); } catch { return null; } })();
if (!asked && stored) document.body.classList.toggle("dark", stored === "dark");

element.querySelector(".page-theme").addEventListener("click", () => {
  const dark = document.body.classList.toggle("dark");
  try { localStorage.setItem(STORED, dark ? "dark" : "light"); } catch { /* a browser without storage forgets */ }
});

function press(selector) {
  const button = [...document.querySelectorAll(selector)].find((node) => node.offsetParent && !node.disabled);
  if (button) button.click();
  return Boolean(button);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && press("button.key-run")) event.preventDefault();
  if (event.key === "Escape") press("button.key-stop");
});
