"""Measures likelihood benchmarks beside lm-evaluation-harness' hf backend: same model, same rows, float32, two cores.

python -m tests.performance.beside_lm_eval --scratch DIR [--tasks hellaswag hellaswag_5shot lambada] [--vocab demo]

The rows are those of tests.tasks.shared_rows, the requests our tasks' own (character for character the harness'). Each
measurement is a process of its own, the harness' in an environment of its own; the two sides take turns, and the best
of the harness' batch sizes counts. Seconds are those from the requests to their answers: reading data, loading and
metrics are in neither side. Log-likelihoods and predictions are compared. Where other programs use the cores too, the
seconds of the cores tell more than the clock's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tasks import hellaswag, lambada_openai
from tests.performance.peers.environment import LM_EVAL, python_of
from tests.tasks.shared_rows import DATA, shared_rows
from workbench.evals.asking import Answer, Request, ask
from workbench.evals.data.rows import Row
from workbench.evals.methods.multiple_choice import MultipleChoice
from workbench.manager import ModelManager, ModelSpec
from workbench.text.requests import Scored

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "workbench" / "demo"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
GOALS = {"hellaswag": 2.5, "hellaswag_5shot": 10.0, "lambada": 2.5}
SHOTS = 5
WARM_UP = 2
"""Documents asked about before the clock starts."""
TWO_CORES = {
    "OMP_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}

TASKS = {"hellaswag": hellaswag.TASK, "hellaswag_5shot": hellaswag.TASK, "lambada": lambada_openai.TASK}


def examples(task: str, count: int) -> tuple[Any, list[Any]]:
    """A task's method, perhaps with the same worked examples for all, and its first examples.

    Choices are not asked about a second time without their prompt, which the harness does not do either.
    """
    chosen: Any = TASKS[task]
    shots = SHOTS if task.endswith("5shot") else 0
    read = [chosen.read(Row(row, index)) for index, row in enumerate(shared_rows(chosen.name, count + shots))]
    method = chosen.method
    if isinstance(method, MultipleChoice):
        method = replace(method, mutual_info=False)
    return method.with_shots(read[count:]), read[:count]


def make_model(folder: Path, vocab: str, width: int) -> None:
    """Saves a random GPT-J of 8 layers with a vocabulary: GPT-2's in GPT-J's 50,400 columns, or the demo model's."""
    from transformers import GPTJConfig, GPTJForCausalLM

    tokenizer = DATA / "gpt2-bpe" / "tokenizer.json" if vocab == "gpt2" else DEMO / "tokenizer.json"
    rows = 50_400 if vocab == "gpt2" else json.loads((DEMO / "config.json").read_text())["vocab_size"]
    torch.manual_seed(0)
    config = GPTJConfig(
        vocab_size=rows, n_positions=2048, n_embd=width, n_layer=8, n_head=width // 64, rotary_dim=32,
        initializer_range=0.08,
    )  # fmt: skip
    eos = json.loads(tokenizer.read_text())["model"]["vocab"].get("<|endoftext|>", 0)
    config.bos_token_id = config.eos_token_id = eos
    GPTJForCausalLM(config).save_pretrained(folder)
    shutil.copy(tokenizer, folder / "tokenizer.json")
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False}
    told |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    (folder / "tokenizer_config.json").write_text(json.dumps(told))


class Clock:
    """Since it was made: seconds, and seconds of all cores, which tell more where other programs take turns."""

    def __init__(self) -> None:
        self._began, self._began_cores = time.perf_counter(), time.process_time()

    def told(self) -> dict[str, float]:
        """Both until now."""
        return {"seconds": time.perf_counter() - self._began, "core_seconds": time.process_time() - self._began_cores}


@dataclass(frozen=True)
class Watched:
    """A task's method; its predictions are the log-likelihoods it judges by."""

    method: Any

    def requests(self, example: Any) -> Sequence[Request]:
        """The method's own."""
        found: Sequence[Request] = self.method.requests(example)
        return found

    def judge(self, example: Any, answers: Sequence[Answer]) -> list[float]:
        """Judges, as a run does, and gives the log-likelihoods."""
        self.method.judge(example, answers)
        return [answer.loglikelihood for answer in answers if isinstance(answer, Scored)]

    def failed(self, example: Any, reason: str) -> list[float]:
        """Nothing may fail here."""
        raise RuntimeError(reason)


def ours(folder: Path, task: str, count: int, batch_size: int) -> dict[str, Any]:
    """Seconds and log-likelihoods of this program, with so many examples under way."""
    method, asked = examples(task, count)
    with closing(ModelManager()) as manager, manager.lease(ModelSpec(str(folder), precision="float32")) as model:
        list(ask(model, Watched(method), asked[-WARM_UP:], batch_size))
        model.engine.served.prefixes.clear()
        clock = Clock()
        found = list(ask(model, Watched(method), asked, batch_size))
        return {**clock.told(), "loglikelihoods": found}


def theirs(folder: Path, task: str, count: int, batch_size: int) -> dict[str, Any]:
    """Seconds and log-likelihoods of the harness."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    method, asked = examples(task, count)
    model = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=batch_size)
    pairs = [[(one.context, one.continuation) for one in method.requests(example)] for example in asked]

    def answered(some: list[list[tuple[str, str]]]) -> list[float]:
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=place)
            for doc in some for place, pair in enumerate(doc)
        ]  # fmt: skip
        return [value for value, _ in model.loglikelihood(requests, disable_tqdm=True)]

    answered(pairs[-WARM_UP:])
    clock = Clock()
    found = iter(answered(pairs))
    return {**clock.told(), "loglikelihoods": [[next(found) for _ in doc] for doc in pairs]}


def measured(side: str, options: argparse.Namespace, task: str, batch_size: int, count: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    out = options.scratch / "measured.json"
    python = sys.executable if side == "ours" else python_of(LM_EVAL, options.scratch)
    command = [python, "-m", "tests.performance.beside_lm_eval", "--scratch", options.scratch, "--side", side,
               "--tasks", task, "--batch-sizes", batch_size, "--docs", count]  # fmt: skip
    subprocess.run([*map(str, command)], check=True, cwd=ROOT, env={**os.environ, **TWO_CORES}, capture_output=True)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def compare(options: argparse.Namespace, task: str, count: int) -> dict[str, Any]:
    """A task on both sides in turns, and how far their numbers are apart."""
    mine, other = [], {}
    apart, same = 0.0, True
    for batch_size in options.batch_sizes:
        mine.append(measured("ours", options, task, options.in_flight, count))
        other[batch_size] = measured("theirs", options, task, batch_size, count)
        both = zip(mine[-1]["loglikelihoods"], other[batch_size]["loglikelihoods"], strict=True)
        for one, two in both:
            apart = max(apart, *(abs(a - b) for a, b in zip(one, two, strict=True)))
            same = same and one.index(max(one)) == two.index(max(two))
    result: dict[str, Any] = {"task": task, "docs": count, "goal": GOALS[task], "same_predictions": same}
    result["apart"] = apart
    for clock in ("seconds", "core_seconds"):
        ours_all = sorted(count / one[clock] for one in mine)
        theirs_all = {batch_size: count / one[clock] for batch_size, one in other.items()}
        best = max(theirs_all, key=theirs_all.__getitem__)
        median = ours_all[len(ours_all) // 2]
        result[f"docs_per_{clock[:-1]}"] = {
            "ours": median, "theirs": theirs_all[best], "batch_size": best, "ratio": median / theirs_all[best],
            "ours_all": ours_all, "theirs_all": theirs_all,
        }  # fmt: skip
    return result


def main() -> None:
    """Compares all tasks; with --side, measures one side of one task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(GOALS), choices=list(GOALS))
    parser.add_argument("--docs", type=int, default=64, help="documents; a quarter of them with worked examples")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES), help="of the harness")
    parser.add_argument("--in-flight", type=int, default=8, help="documents under way on our side")
    parser.add_argument("--vocab", choices=("gpt2", "demo"), default="gpt2")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--side", choices=("ours", "theirs"))
    options = parser.parse_args()
    folder = options.scratch / "model"
    if options.side:
        (task,) = options.tasks
        found = (ours if options.side == "ours" else theirs)(folder, task, options.docs, options.batch_sizes[0])
        (options.scratch / "measured.json").write_text(json.dumps(found))
        return
    options.scratch.mkdir(parents=True, exist_ok=True)
    make_model(folder, options.vocab, options.width)
    for task in options.tasks:
        result = compare(options, task, options.docs // 4 if task.endswith("5shot") else options.docs)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
