"""The head of the page: its name, the switch between light and dark, the link to what is shown, and earlier runs."""

import gradio as gr

from workbench.ui.scripts import script

_HEAD = """
<header class="page-head">
  <div class="page-mark" aria-hidden="true"><i></i><i></i><i></i><i></i></div>
  <div class="page-name"><h1>GPT-J Workbench</h1><p>Watch a language model choose its words.</p></div>
  <div class="page-tools">
    <button type="button" class="page-link" title="A link that opens this tab with these models, settings and texts">
      Copy link</button>
    <button type="button" class="page-past" aria-haspopup="dialog">History</button>
    <button type="button" class="page-theme"
      aria-label="Light / dark: switch between light and dark">Light / dark</button>
    <p class="page-said" role="status"></p>
  </div>
  <dialog class="page-history" aria-label="Runs of this browser">
    <div class="history-head"><h2>Your runs</h2><button type="button" class="close">Close</button></div>
    <p>Kept in this browser alone, the newest 30. Choose one to have its models, settings and texts back.</p>
    <p class="empty none">No runs yet. Press Generate, Classify, Answer or Run on a tab: it is noted here.</p>
    <ol></ol>
    <button type="button" class="clear">Forget all runs</button>
  </dialog>
</header>
"""


def page_head() -> gr.HTML:
    """Draws the head; its event `link` asks for a link, and `open` carries the `state` of one that is opened."""
    parts = (script("page.js"), script("copied.js", "address.js"))
    own = "\n".join(f"{{\n{part}\n}}" for part in parts)  # each with names of its own
    return gr.HTML(html_template=_HEAD, js_on_load=own, apply_default_css=False, elem_id="page-head")
