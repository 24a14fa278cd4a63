"""Secrets: random, private, whole, and never overwritten."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thedata_cli.component_api.endpoints import SecretSpec
from thedata_cli.errors import RefusedError
from thedata_cli.project.secrets import ensure_secrets, random_secret

SPECS = [SecretSpec("a_password", "password of a"), SecretSpec("b_password", "password of b")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_gets_a_random_private_file(tmp_path: Path) -> None:
    values = ensure_secrets(tmp_path, SPECS)
    assert values.keys() == {"a_password", "b_password"}
    assert len(set(values.values())) == 2
    assert all(len(value) == 32 and value.isalnum() and value[0].isalpha() for value in values.values())
    assert mode(tmp_path / "secrets") == 0o700
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["a_password", "b_password"]
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o600}


def test_a_value_stays(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path, SPECS[:1])
    (tmp_path / "secrets" / "b_password").write_text("of my own\n")
    assert ensure_secrets(tmp_path, SPECS) == {**first, "b_password": "of my own"}
    assert (tmp_path / "secrets" / "b_password").read_text() == "of my own\n"


def test_many_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: dict(ensure_secrets(tmp_path, SPECS)), range(32)))
    assert all(values == found[0] for values in found)
    assert len(list((tmp_path / "secrets").iterdir())) == 2


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "a_password").write_text("\n")
    with pytest.raises(RefusedError, match=r"secrets/a_password \(password of a\) is empty"):
        ensure_secrets(tmp_path, SPECS)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("a file")
    with pytest.raises(RefusedError, match="the secret secrets/a_password cannot be read or made"):
        ensure_secrets(tmp_path, SPECS)


def test_no_two_are_the_same() -> None:
    assert len({random_secret() for _ in range(1000)}) == 1000
