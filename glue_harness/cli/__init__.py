"""The command line: one file a verb, loaded when it is named. Verbs parse, call and print."""

from __future__ import annotations

import atexit
import errno
import io
import os
import re
import shutil
import signal
import sys
import textwrap
import threading
from importlib import import_module
from typing import NoReturn

import click

from glue_harness import __version__
from glue_harness.core.errors import GlueError, unknown
from glue_harness.core.plugins import own_failure
from glue_harness.report.console import PLAIN, printable

VERBS: tuple[str, ...] = ("run", "pretrain", "sweep", "tasks", "show", "mix", "score", "compare", "errors", "curve")
VERBS += ("power", "runs", "board", "report", "predict", "export", "submit", "demo", "doctor", "vocab", "bench")
VERBS += ("reproduce", "compress", "cost")
COMPLETE = "_GLUE_COMPLETE"  # set by a shell that wants to know how a line could go on
MOST_TOLD = 2000  # characters of a message
UNWRITABLE = (errno.ENOSPC, errno.EIO, errno.EPIPE)


class Verbs(click.Group):
    """Finds `glue VERB` in the file of that name, which defines `command`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command:
        if name not in VERBS:
            raise unknown("command", name, VERBS)
        command = import_module(f"glue_harness.cli.{name}").command
        for one in (command, *getattr(command, "commands", {}).values()):
            if any(parameter.name == "debug" for parameter in one.params):
                continue
            one.params.append(DEBUG)
            if COMPLETE in os.environ:
                from glue_harness.cli.completion import offer_values

                offer_values(one)
        command.short_help = re.split(r"[.:]", command.help or "", maxsplit=1)[0]
        return command


DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=lambda context, parameter, value: value and os.environ.update(GLUE_DEBUG="1"),
    help="Show tracebacks of expected errors.",
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
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # threads that spin for long starve each other on shared cores
    sys.stdout = sys.stdout or io.StringIO()  # closed, as by `>&-`
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows ASCII only is no reason to fail
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
    asked_to_stop = stop_on_interrupt()
    try:
        try:
            glue.main(arguments, prog_name="glue", standalone_mode=False)
            sys.stdout.flush()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Exception as error:
        if COMPLETE in os.environ:  # in the middle of a line that somebody writes
            sys.exit(1)
        if asked_to_stop:  # an import that Ctrl-C cut short fails in ways of its own
            stop("interrupted", 130)
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            print(error.ctx.get_help())
            sys.exit(0)
        message, code = explain(error)
        if os.environ.get("GLUE_DEBUG"):
            raise
        stop(message, code)
    except KeyboardInterrupt as error:
        stop("interrupted", getattr(error, "exit_code", 130))
    except SystemExit as error:
        if told := own_failure(error):  # an exit in a task of the user's own would look like success
            stop(f"{told}; --debug shows all frames", 1)
        # click's mark of `glue tasks | head`, which is no failure; newer versions of click have it under _
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            sys.exit(0)
        raise


def stop_on_interrupt() -> list[int]:
    """The first Ctrl-C interrupts, further ones are ignored while the program ends; tells whether there was one.

    A library may swallow what interrupts its import, and all would go on unstoppable: so it comes again each second.
    """
    seen: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 1, 1)
        seen.append(number)
        raise KeyboardInterrupt

    def again(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # `nohup` and `&` ask for it to be ignored
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, again)
        signal.signal(signal.SIGINT, interrupt)
        # python puts the default back before it takes modules down, and that one kills: exit code -2, not ours
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    return seen


def stop(message: str, code: int) -> NoReturn:
    """The line as a terminal can show it: what it quotes may be of any length and hold anything."""
    if len(message) > MOST_TOLD:
        message = f"{message[: MOST_TOLD // 2]} ... {message[-MOST_TOLD // 2 :]}"
    message = f"glue: {printable(message)}"
    if sys.stderr.isatty():  # a terminal would break it inside words
        width = shutil.get_terminal_size().columns
        message = "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in message.splitlines())
    print(message, file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # nobody can read it: python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an expected failure; a bug is raised again, as a traceback."""
    if isinstance(error, GlueError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        message, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
        if isinstance(error, click.exceptions.NoSuchOption):
            from glue_harness.cli.hints import unknown_option

            message = unknown_option(error, VERBS)
        # people type `glue run mnli` before they type `glue run --task mnli`
        extra = re.fullmatch(r"Got unexpected extra argument \((\S+)\)", message)
        if extra and context and any("--task" in parameter.opts for parameter in context.command.params):
            message += f": tasks are named with --task {extra[1]}"
        return message + (f" (see {context.command_path} --help)" if context else ""), error.exit_code
    if isinstance(error, click.Abort):
        return "interrupted", 130
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return f"the output cannot be written: {error.strerror}", 1
    if told := own_failure(error):
        return f"{told}; --debug shows all frames", 1
    raise error
