"""The values of `WITH (…)` and of a cluster's options, read and checked."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator.errors import INVALID_PARAMETER, EmulatorError, not_supported
from thedata_cli.components.materialize.emulator.grammar import duration_ms
from thedata_cli.components.materialize.emulator.statements import Text
from thedata_cli.components.materialize.emulator.tokens import STRING, tokenize

_TRUE = ("", "true", "on", "1", "t", "yes")
_FALSE = ("false", "off", "0", "f", "no")
_WITHOUT_EFFECT = (
    "managed", "disk", "introspection debugging", "introspection interval", "availability zones",
)  # fmt: skip


def literal(text: Text) -> str:
    """Return the value of a literal or of a bare word."""
    tokens = tokenize(text.sql)
    return tokens[0].value if len(tokens) == 1 else text.sql


def boolean(text: Text) -> bool:
    """Return a truth value; a bare option means true."""
    word = literal(text).lower()
    if word not in _TRUE + _FALSE:
        raise EmulatorError(INVALID_PARAMETER, f"invalid boolean value: {text.sql}", position=text.position)
    return word in _TRUE


def retention_ms(options: dict[str, Text]) -> int | None:
    """Take RETAIN HISTORY out of `options`; None when it is not there."""
    for name in list(options):
        if name.startswith("retain history"):
            text = options.pop(name)
            strings = [token.value for token in tokenize(text.sql) if token.kind == STRING]
            if not strings:
                raise EmulatorError(
                    INVALID_PARAMETER, "RETAIN HISTORY needs FOR and an interval", position=text.position
                )
            return int(duration_ms(strings[0], text.position))
    return None


def refuse_unknown(options: dict[str, Text], of: str) -> None:
    """Refuse the options that nobody took."""
    for name, text in options.items():
        raise not_supported(f"the option {name.upper()} of {of}", text.position)


def cluster_options(options: dict[str, str], position: int) -> tuple[str | None, int | None]:
    """Return size and replication factor.

    Raises:
        EmulatorError: An option is unknown or has no possible value.
    """
    rest = dict(options)
    size, factor = rest.pop("size", None), rest.pop("replication factor", None)
    if rest.pop("schedule", "manual").lower() not in ("manual", ""):
        raise not_supported("a SCHEDULE of clusters other than MANUAL", position)
    for ignored in _WITHOUT_EFFECT:
        rest.pop(ignored, None)
    for name in rest:
        raise not_supported(f"the cluster option {name.upper()}", position)
    if factor and not factor.isdigit():
        raise EmulatorError(INVALID_PARAMETER, f"invalid REPLICATION FACTOR: {factor}", position=position)
    return size, int(factor) if factor else None
