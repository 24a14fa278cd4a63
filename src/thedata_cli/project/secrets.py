"""The secrets of a project: one file each under `secrets/`, readable by its owner only."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Iterable, Mapping
from pathlib import Path

from thedata_cli.component_api.endpoints import SecretSpec
from thedata_cli.errors import RefusedError

SECRETS_DIRECTORY = "secrets"

_LENGTH = 32
_CHARACTERS = string.ascii_letters + string.digits


def ensure_secrets(project_dir: Path, specs: Iterable[SecretSpec]) -> Mapping[str, str]:
    """Return the value of each secret; those that have no file yet get a random one, which is never overwritten.

    Two commands that do this at the same time agree on the values.

    Raises:
        RefusedError: A file cannot be read or written, or is empty.
    """
    directory = project_dir / SECRETS_DIRECTORY
    values: dict[str, str] = {}
    for spec in specs:
        file = directory / spec.name
        try:
            if not file.exists():
                _create(file)
            value = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(
                f"the secret {SECRETS_DIRECTORY}/{spec.name} cannot be read or made: {error}",
                hint=f"make {file} readable and its directory writable for you",
            ) from error
        if not value:
            raise RefusedError(
                f"the secret {SECRETS_DIRECTORY}/{spec.name} ({spec.purpose}) is empty",
                hint=f"write a value into {file}, or remove the file to get a random one",
            )
        values[spec.name] = value
    return values


def random_secret() -> str:
    """Return 190 random bits as letters and digits; a letter is first, because some servers read `1a` as a number."""
    first = secrets.choice(string.ascii_letters)
    return first + "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH - 1))


def _create(file: Path) -> None:
    """Write the whole file under another name and link it into place: nobody ever reads half a secret."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(random_secret() + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            return
    finally:
        draft.unlink()
