"""The command line: python -m workbench COMMAND. Each command stands in its own file of `commands/`.

Answers go to standard output (with --json exactly one JSON document, null where a
number is not finite), progress and notes to standard error. Exit
status 0: done; 2: bad input or usage; 1: anything else.
"""

import argparse
import codecs
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from workbench import commands
from workbench.collect import collect, named
from workbench.errors import Cancelled, NotSaved, NumericalFailure, WorkbenchError
from workbench.json_values import json_value
from workbench.terminal import Command, note

DONE, FAILED, BAD_INPUT = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Runs one command and gives the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a character shows its number
    if not arguments:
        parser = build_parser()
        parser.print_help(sys.stderr)
        parser.exit(BAD_INPUT, f"\n{parser.prog}: error: a command is missing; they are listed above.\n")
    try:
        options = build_parser(arguments[0]).parse_args(arguments)
        command: Callable[[argparse.Namespace], dict[str, Any]] = options.command
        answer = command(options)
        if options.json:
            # Outside of UTF-8 the numbers must be written as JSON writes them.
            ascii_only = not _writes_unicode()
            json.dump(json_value(answer), sys.stdout, ensure_ascii=ascii_only, indent=2, allow_nan=False)
            print()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has enough, as `head` does; what is left must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Cancelled, NotSaved, NumericalFailure, OSError) as error:
        note(f"workbench: {error}")
        return FAILED
    except WorkbenchError as error:
        note(f"workbench: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        note("\nworkbench: stopped")
        return FAILED
    return DONE


def build_parser(asked: str = "") -> argparse.ArgumentParser:
    """The asked command and its options; all commands where none is named so.

    A command's imports are half of its time: those of the others are left alone.
    """
    command_asked: Command | None = named(commands, asked, "COMMAND")
    found = collect(commands, "COMMAND").values() if command_asked is None else [command_asked]
    parser = argparse.ArgumentParser(
        prog="python -m workbench",
        description="GPT-J Workbench on the command line.",
        epilog="A command's own options: python -m workbench COMMAND --help.",
    )
    added = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in found:
        options = added.add_parser(command.name, help=command.help, description=command.about or command.help)
        command.add_options(options)
        if command.run is not None:
            options.set_defaults(command=command.run)
    return parser


def _writes_unicode() -> bool:
    """Whether standard output can encode every character."""
    return codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
