"""The command line: one file a verb, loaded when it is named. Verbs parse, call and print."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from glue_harness import __version__
from glue_harness.errors import GlueError, unknown

VERBS = ("run", "tasks", "show", "mix", "score", "compare", "board", "predict", "submit", "demo", "doctor", "bench")


class Verbs(click.Group):
    """Finds `glue VERB` in the file of that name, which defines `command`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command:
        if name not in VERBS:
            raise unknown("command", name, VERBS)
        command = import_module(f"glue_harness.cli.{name}").command
        if not any(parameter.name == "debug" for parameter in command.params):
            command.params.append(DEBUG)
        return command


def _remember_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["GLUE_DEBUG"] = "1"


DEBUG = click.Option(
    ["--debug"], is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks of expected errors."
)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glue")
def glue() -> None:
    """How good is a text-to-text model at language understanding, and which recipe is better?

    \b
    Try it without network:     glue demo
    Fine-tune, score, record:   glue run --task mnli
    See what is there:          glue tasks, glue show mnli
    Compare and publish:        glue compare RUN RUN, glue board
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; an expected failure is one line on stderr and its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are 5 times slower on cores that others use
    try:
        glue.main(arguments, prog_name="glue", standalone_mode=False)
    except Exception as error:
        message, code = explain(error)
        if os.environ.get("GLUE_DEBUG"):
            raise
        print(f"glue: {message}", file=sys.stderr)
        sys.exit(code)
    except KeyboardInterrupt:
        print("glue: interrupted", file=sys.stderr)
        sys.exit(130)


def explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an expected failure; a bug is raised again, as a traceback."""
    if isinstance(error, GlueError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context else ""
        return error.format_message().rstrip(".") + where, error.exit_code
    if isinstance(error, click.Abort):
        return "interrupted", 130
    raise error
