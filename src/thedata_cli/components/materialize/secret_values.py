"""Values of secrets: `:'name'` in a statement, as psql has it, stands for what is in `secrets/name`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from thedata_cli.component_api.sql_files import SqlMistakeError
from thedata_cli.components.materialize.sql_text import Token, TokenKind, literal, tokenize
from thedata_cli.errors import InvalidProjectError, Problem, SourcePosition, StatementRejectedError
from thedata_cli.plan.resources import Resource

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
_COST = 2**12
"""About 10 ms: nobody should guess a weak secret from the digest, which all who may read the catalog can see."""


def value_variable(name: str, rest: Sequence[Token], last: Token) -> str:
    """Return what stands for the value of a CREATE SECRET statement.

    Args:
        name: Of the secret.
        rest: Tokens after its name.
        last: The last token of the statement, for an error's place.

    Raises:
        SqlMistakeError: The value itself is there, or nothing is.
    """
    expected = f"write CREATE SECRET {name} AS :'{name}'; the value is in secrets/{name}"
    if len(rest) < 2 or not rest[0].is_word("as"):
        raise SqlMistakeError(last.start, "the secret has no value", expected)
    variable = _variable(rest)
    if len(rest) != 3 or variable is None:
        raise SqlMistakeError(rest[1].start, "a secret's value does not belong in a file of the project", expected)
    if not _VARIABLE.fullmatch(variable):
        raise SqlMistakeError(rest[2].start, f"{variable!r} is no name of a secret", "letters, digits and _")
    return variable


def with_value(statement: str, secrets: Mapping[str, str]) -> str | None:
    """Return a CREATE or ALTER SECRET statement with the value in it; None for any other statement.

    Raises:
        StatementRejectedError: The value is not known.

    Example:
        >>> with_value("CREATE SECRET k AS :'k'", {"k": "it's"})
        "CREATE SECRET k AS 'it''s'"
    """
    tokens = tokenize(statement)
    if len(tokens) < 2 or not (tokens[0].is_word("create", "alter") and tokens[1].is_word("secret")):
        return None
    variable = _variable(tokens)
    if variable is None:
        return None
    if variable not in secrets:
        raise StatementRejectedError(_unknown(variable), hint=f"write it into secrets/{variable}")
    # The server reads the text as bytes, in which a backslash begins an escape.
    return statement[: tokens[-2].start] + literal(secrets[variable].replace("\\", "\\\\"))


def value_digest(project: str, name: str, value: str) -> str:
    """Return 16 hex digits that change with the value of a secret, and tell nothing of it.

    Example:
        >>> value_digest("flights", "k", "one") == value_digest("flights", "k", "two")
        False
    """
    salt = f"thedata {project} {name}".encode()
    return hashlib.scrypt(value.encode(), salt=salt, n=_COST, r=8, p=1, dklen=8).hex()


def with_digests(desired: Sequence[Resource], secrets: Mapping[str, str], project: str) -> Sequence[Resource]:
    """Return resources, the secrets among them with the digest of their value.

    Raises:
        InvalidProjectError: The value of one is not known.
    """
    found, problems = [], []
    for resource in desired:
        variable = _variable(tokenize(resource.statement)) if "value" in resource.spec else None
        if variable is None:
            found.append(resource)
        elif variable in secrets:
            digest = value_digest(project, resource.id.name, secrets[variable])
            found.append(replace(resource, spec={"value": digest}))
        else:
            position = resource.position or SourcePosition(Path("views"))
            problems.append(Problem(position, "", _unknown(variable), f"write it into secrets/{variable}"))
    if problems:
        raise InvalidProjectError(problems)
    return found


def _variable(tokens: Sequence[Token]) -> str | None:
    """Return the name in `:'name'` at the end; None when that is not what is there."""
    if len(tokens) < 2 or tokens[-1].kind is not TokenKind.STRING or tokens[-1].value[:1] != "'":
        return None
    is_variable = tokens[-2].is_symbol(":") and tokens[-2].end == tokens[-1].start
    return tokens[-1].value[1:-1] if is_variable else None


def _unknown(variable: str) -> str:
    return f"the value of the secret {variable} is not known"
