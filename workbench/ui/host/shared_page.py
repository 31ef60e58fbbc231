"""What a visitor of a public page is told: what is switched off there, why, and how to have all of it."""

from html import escape

from workbench.settings import Settings

PROJECT = "the README's first command"


def shared_markup(settings: Settings) -> str:
    """A line that opens into the page's limits; nothing where the visitor owns the machine."""
    profile = settings.profile
    if not profile.others:
        return ""
    facts = (
        f"A text has at most {profile.requests.new_tokens:,} new tokens and ends after "
        f"{profile.serving.run_seconds:,.0f} seconds.",
        f"A file has at most {profile.files.bytes / 1e6:,.0f} MB and {profile.files.rows:,} rows; it is deleted once "
        "it is read.",
        f"A benchmark asks at most {profile.benchmarks.examples:,} examples of a task. Its run can be seen by "
        "everybody and stopped by you alone.",
        "Models are those on the list. Loading others, uploading checkpoints, training heads, evaluating files of "
        "your own and deleting runs are switched off, because all visitors share this machine.",
        f"On your own machine there are no such limits: {PROJECT} starts the same page there.",
    )
    items = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    title = "You share this page with others: its limits"
    return f'<details class="shared-page"><summary>{title}</summary><ul>{items}</ul></details>'
