"""The boundary around every command: runs it, and turns whatever goes wrong into one message and one exit code."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import sys
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thedata_cli.cli.options import Format
from thedata_cli.errors import ExitCode, TheDataError

if TYPE_CHECKING:
    from thedata_cli.output.console import Show

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MAKE_ROOM = "free disk space, then run it again"

_SHARED_OPTIONS: dict[str, Any] = {
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")],
    "verbose": Annotated[bool, typer.Option("--verbose", "-v", help="Print more of what happens.")],
    "debug": Annotated[bool, typer.Option("--debug", envvar="THEDATA_DEBUG", help="Print tracebacks.")],
}


def run_command(command: Callable[..., Any]) -> Callable[..., None]:
    """Wrap a command function, sync or async, that may return an `ExitCode`.

    The wrapper adds `--quiet`, `--verbose` and `--debug`, which every command has. A command that wants to print takes
    a parameter `show: Show`; it is made here from those flags and the command's own `output`.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    parameters = [parameter for name, parameter in inspect.signature(command).parameters.items() if name != "show"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in _SHARED_OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(**arguments: Any) -> None:
        quiet, verbose, debug = (arguments.pop(name) for name in _SHARED_OPTIONS)
        is_json = arguments.get("output") is Format.JSON
        exit_code = _run(command, arguments, is_json=is_json, is_quiet=quiet, is_verbose=verbose, is_debug=debug)
        raise typer.Exit(exit_code)

    wrapper.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in parameters
        ]
        + shared
    )
    wrapper.__annotations__ = {
        **{name: hint for name, hint in hints.items() if name not in {"show", "return"}},
        **_SHARED_OPTIONS,
    }
    del wrapper.__wrapped__
    return wrapper


def _run(
    command: Callable[..., Any],
    arguments: dict[str, Any],
    *,
    is_json: bool,
    is_quiet: bool,
    is_verbose: bool,
    is_debug: bool,
) -> ExitCode:
    from thedata_cli.output.console import Show

    show = Show(is_json=is_json, is_quiet=is_quiet, is_verbose=is_verbose)
    if "show" in inspect.signature(command).parameters:
        arguments["show"] = show
    try:
        result = command(**arguments)
        if inspect.iscoroutine(result):
            import asyncio

            result = asyncio.run(result)
        sys.stdout.flush()
    except TheDataError as error:
        if is_debug:
            raise
        show.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        show.interrupted()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.OK
    except typer.Exit:
        raise
    except Exception as error:
        if is_debug:
            raise
        _tell_other(show, error)
        return ExitCode.FAILED
    return result if isinstance(result, ExitCode) else ExitCode.OK


def _tell_other(show: Show, error: Exception) -> None:
    """Tell an error that no part of the product has turned into one of its own."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        show.error(TheDataError(f"cannot write {error.filename or 'the output'}: {error.strerror}", hint=_MAKE_ROOM))
        _forget_stdout()
    else:
        show.unexpected(error)


def _forget_stdout() -> None:
    """Point stdout elsewhere, so that the interpreter's own flush at exit does not complain about the closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
