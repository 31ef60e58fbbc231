// Puts a text on the clipboard; gives whether it could. A page that came over plain http from another machine has no
// navigator.clipboard; the older way still works there.
async function copied(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* not allowed, or no secure page */ }
  const box = document.createElement("textarea");
  box.value = text;
  box.setAttribute("readonly", "");
  box.style.position = "fixed";
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
}
