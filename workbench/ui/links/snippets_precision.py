"""The snippets of the Precision tab: the same report from elsewhere."""

from workbench.manager import ModelSpec
from workbench.ui.links.snippets import Snippet, command, file_command, model_code, model_options
from workbench.ui.precision.precision_form import AskedReport

TEXT_FILE = "text.txt"


def precision_snippets(spec: ModelSpec, asked: AskedReport) -> list[Snippet]:
    """How the same report is made from elsewhere; the page has no endpoint for one, it takes too long."""
    return [Snippet("Python", _python(spec, asked)), Snippet("Command line", _commands(spec, asked))]


def _python(spec: ModelSpec, asked: AskedReport) -> str:
    made = {
        "prompt_material": f"None, prompt_material({asked.prompt!r}, {max(1, asked.new_tokens)})",
        "text_material": f"None, text_material({asked.text!r}, {asked.new_tokens})",
        "task_material": f"task_material(all_tasks()[{asked.task!r}], {'SAMPLES' if asked.samples else None}, "
        f"{asked.limit}, {asked.new_tokens})",
    }
    maker = (
        "prompt_material" if asked.prompt is not None else "text_material" if asked.task is None else "task_material"
    )
    lines = [
        "from workbench.evals.precision_summary import summaries",
        "from workbench.evals.precision_work import measure",
        *(["from workbench.evaluating import SAMPLES, all_tasks"] if asked.task is not None else []),
        "from workbench.manager import ModelManager, ModelSpec",
        f"from workbench.precision_sides import compared_precisions, {maker}",
        "",
        "manager = ModelManager()",
        f"task, material = {made[maker]}",
        f"precisions = compared_precisions(manager, {model_code(spec)}, {list(asked.precisions)!r}, task)",
        "for report in measure(precisions, material):",
        "    pass",
        "for one in summaries(report, task):",
        "    print(one.name, one.weights_bytes, one.kl, one.same_best, one.partings, one.flipped)",
        "manager.close()",
    ]
    return "\n".join(lines)


def _commands(spec: ModelSpec, asked: AskedReport) -> str:
    rows = [("--task", asked.task), ("--data", "samples" if asked.samples else None), ("--limit", asked.limit)]
    asks = command("precision", [
        *model_options(spec), ("--precisions", ",".join(asked.precisions)), ("--prompt", asked.prompt),
        ("--text", TEXT_FILE if asked.text is not None else None), *rows, ("--new-tokens", asked.new_tokens),
    ])  # fmt: skip
    return asks if asked.text is None else f"{file_command(TEXT_FILE, asked.text)}\n{asks}"
