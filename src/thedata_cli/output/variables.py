"""Environment variables as text: for a .env file, for a shell, for a program."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping


def write_variables(variables: Mapping[str, str], form: str) -> None:
    """Write variables to stdout as `dotenv`, `shell` or `json`."""
    if form == "json":
        text = json.dumps(dict(variables), indent=2) + "\n"
    elif form == "shell":
        text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    else:
        text = "".join(f"{name}={_dotenv(value)}\n" for name, value in variables.items())
    sys.stdout.write(text)


def _dotenv(value: str) -> str:
    """Quote a value as dotenv readers and Compose understand it: bare where nothing in it is special.

    Example:
        >>> _dotenv("nats://a:4222"), _dotenv("two words")
        ('nats://a:4222', "'two words'")
    """
    if value and all(character.isalnum() or character in "-_.:/@%+=?&,;~" for character in value):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
