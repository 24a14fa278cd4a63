"""The two streams of every command: the result on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from thedata_cli.errors import InvalidProjectError, RefusedError, TheDataError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")


class Show:
    """What a command prints with. Rich is loaded at the first text for people, never for JSON.

    Args:
        is_json: The result is one JSON document, or JSON Lines; errors are JSON on stderr.
        is_quiet: Only results and errors.
        is_verbose: Also what is only interesting when something is looked into.
    """

    def __init__(self, *, is_json: bool = False, is_quiet: bool = False, is_verbose: bool = False) -> None:
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.is_verbose = is_verbose

    @cached_property
    def stdout(self) -> Console:
        """The console of results for people."""
        from rich.console import Console

        class ResultConsole(Console):
            """Leaves it to the boundary to end quietly when the reader has gone; rich itself would exit with 1."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        return ResultConsole(highlight=False, soft_wrap=not sys.stdout.isatty())

    @cached_property
    def stderr(self) -> Console:
        """The console of everything that is not a result."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to answer."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.is_json

    def result(
        self, value: T, *, human: Callable[[Console, T], None], document: Callable[[T], Mapping[str, Any]]
    ) -> None:
        """Print the result of the command, once."""
        if self.is_json:
            sys.stdout.write(json.dumps(document(value), ensure_ascii=False, default=str) + "\n")
        else:
            human(self.stdout, value)

    def preview(self, value: T, *, human: Callable[[Console, T], None]) -> None:
        """Print, on stderr, something on the way to the result."""
        if not self.is_quiet and not self.is_json:
            human(self.stderr, value)

    def note(self, text: str) -> None:
        """Say what happens, on stderr."""
        if not self.is_quiet:
            self.stderr.print(text, markup=False)

    def detail(self, text: str) -> None:
        """Say what happens, for whoever asked for more with `--verbose`."""
        if self.is_verbose:
            self.stderr.print(text, style="dim", markup=False)

    def warning(self, text: str) -> None:
        """Say what the user should know although the command goes on."""
        if not self.is_quiet:
            self.stderr.print(f"[yellow]warning:[/yellow] {_escape(text)}")

    def confirm(self, question: str, *, assume_yes: bool) -> None:
        """Ask, and return only on yes.

        Raises:
            RefusedError: The answer is no, or there is no terminal to ask on.
        """
        if assume_yes:
            return
        if not self.can_ask:
            raise RefusedError(f"{question} There is no terminal to ask on.", hint="answer with --yes")
        from rich.prompt import Confirm

        if not Confirm.ask(f"[bold]{_escape(question)}[/bold]", console=self.stderr, default=False):
            raise RefusedError("nothing was changed", hint="run the command again to be asked again")

    def ask(self, question: str, *, default: str, choices: tuple[str, ...] = ()) -> str:
        """Return what the user types, or the default for Enter; only where `can_ask`."""
        from rich.prompt import Prompt

        prompt = _escape(question)
        return Prompt.ask(prompt, console=self.stderr, default=default, choices=list(choices) or None)

    @contextlib.contextmanager
    def progress(self, description: str, *, total: float | None) -> Iterator[Callable[[float], None]]:
        """Show how far something is and how fast; the yielded function takes the amount done so far.

        Off a terminal it is one line at the end.
        """
        if self.is_quiet or self.is_json:
            yield lambda _done: None
            return
        bar = _progress_bar(self.stderr)
        with bar:
            task = bar.add_task(description, total=total)
            yield lambda done: bar.update(task, completed=done)

    def error(self, error: TheDataError) -> None:
        """Print an error: what failed, its details, and the way out."""
        if self.is_json:
            sys.stderr.write(json.dumps(error_document(error), ensure_ascii=False) + "\n")
            return
        self.stderr.print(f"[bold red]error:[/bold red] {_escape(error.message)}")
        if error.detail:
            self.stderr.print(error.detail.rstrip(), markup=False, style=None if self._is_list(error) else "dim")
        if error.hint:
            self.stderr.print(f"[cyan]hint:[/cyan] {_escape(error.hint)}")

    def interrupted(self) -> None:
        """Say that the user stopped the command."""
        if self.is_json:
            body = {
                "code": "interrupted",
                "message": "interrupted",
                "hint": "the command can be run again",
                "detail": "",
            }
            sys.stderr.write(json.dumps({"error": body}) + "\n")
        else:
            self.stderr.print("interrupted; the command can be run again", style="yellow")

    def unexpected(self, error: Exception) -> None:
        """Print an error that nobody foresaw."""
        self.error(
            TheDataError(
                f"unexpected {type(error).__name__}: {error}",
                hint="run again with --debug for the traceback, and report it: this is a bug of thedata",
            )
        )

    @staticmethod
    def _is_list(error: TheDataError) -> bool:
        return isinstance(error, InvalidProjectError)


def error_document(error: TheDataError) -> dict[str, Any]:
    """Return the JSON form of an error, as documented in docs/output.md."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "detail": error.detail,
    }
    if isinstance(error, InvalidProjectError):
        body["problems"] = [
            {
                "file": str(problem.position.file),
                "line": problem.position.line,
                "column": problem.position.column,
                "path": problem.path,
                "message": problem.message,
                "expected": problem.expected,
            }
            for problem in error.problems
        ]
    return {"error": body}


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _progress_bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Units per second since the task began; rich's own estimate jumps with bursts."""

        def render(self, task: Task) -> Text:
            if not task.elapsed:
                return Text("")
            return Text(f"{task.completed / task.elapsed:,.0f}/s", style="dim")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        console=console,
    )
