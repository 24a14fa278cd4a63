"""What the parsers of statements share: a place in the tokens, and the rules that many statements use."""

from __future__ import annotations

import re

from thedata_cli.components.materialize.emulator.errors import (
    INVALID_PARAMETER,
    SYNTAX_ERROR,
    EmulatorError,
    not_supported,
)
from thedata_cli.components.materialize.emulator.statements import Name, Text
from thedata_cli.components.materialize.emulator.tokens import END, QUOTED, STRING, SYMBOL, WORD, Source, Token

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]*)")
_UNITS_MS = {
    "us": 0.001, "ms": 1, "millisecond": 1, "milliseconds": 1,
    "": 1000, "s": 1000, "sec": 1000, "secs": 1000, "second": 1000, "seconds": 1000,
    "m": 60_000, "min": 60_000, "mins": 60_000, "minute": 60_000, "minutes": 60_000,
    "h": 3_600_000, "hr": 3_600_000, "hrs": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "d": 86_400_000, "day": 86_400_000, "days": 86_400_000,
}  # fmt: skip


def duration_ms(text: str, position: int | None = None) -> float:
    """Return an interval such as `1s`, `500 milliseconds`, `1h 30m` or `00:01:00` in milliseconds.

    Raises:
        EmulatorError: It is none.

    Example:
        >>> duration_ms("1hr"), duration_ms("1h 30min"), duration_ms("00:00:02.5")
        (3600000.0, 5400000.0, 2500.0)
    """
    text = text.strip().lower()
    clock = re.fullmatch(r"(\d+):(\d+)(?::(\d+(?:\.\d+)?))?", text)
    if clock:
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return (hours * 3600 + minutes * 60 + seconds) * 1000
    total, at = 0.0, 0
    while at < len(text):
        found = _DURATION.match(text, at)
        if found is None or found.group(2) not in _UNITS_MS:
            break
        total += float(found.group(1)) * _UNITS_MS[found.group(2)]
        at = found.end()
        at += len(text[at:]) - len(text[at:].lstrip())
    if not text or at < len(text):
        raise EmulatorError(INVALID_PARAMETER, f"invalid duration: {text!r}", position=position)
    return total


_SWITCHES = ("true", "false", "on", "off")


class Reader:
    """A place in the tokens of one statement."""

    def __init__(self, source: Source, at: int = 0) -> None:
        self.source = source
        self._tokens = source.tokens
        self.at = at

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` places further."""
        if self.at + ahead < len(self._tokens):
            return self._tokens[self.at + ahead]
        last = self._tokens[-1]
        return Token(END, "", last.end, last.end)

    def next(self) -> Token:
        """The token here; moves past it."""
        token = self.peek()
        self.at += 1
        return token

    def is_word(self, *words: str) -> bool:
        """Whether these keywords come next."""
        return all(self.peek(ahead) == self._word(ahead, word) for ahead, word in enumerate(words))

    def _word(self, ahead: int, word: str) -> Token:
        token = self.peek(ahead)
        return Token(WORD, word, token.start, token.end)

    def take(self, *words: str) -> bool:
        """Move past these keywords if they come next."""
        if not self.is_word(*words):
            return False
        self.at += len(words)
        return True

    def take_symbol(self, symbol: str) -> bool:
        """Move past this symbol if it comes next."""
        token = self.peek()
        if token.kind != SYMBOL or token.value != symbol:
            return False
        self.at += 1
        return True

    def expect(self, *words: str) -> None:
        """Move past these keywords, which must come next."""
        for word in words:
            if not self.take(word):
                raise self.unexpected(word.upper())

    def expect_symbol(self, symbol: str) -> None:
        """Move past this symbol, which must come next."""
        if not self.take_symbol(symbol):
            raise self.unexpected(f'"{symbol}"')

    def unexpected(self, wanted: str) -> EmulatorError:
        """Return the error for the token here."""
        token = self.peek()
        return EmulatorError(SYNTAX_ERROR, f"Expected {wanted}, found {token}", position=token.start)

    def expect_end(self) -> None:
        """The statement must end here."""
        if self.peek().kind != END:
            raise self.unexpected("end of statement")

    def identifier(self) -> str:
        """One part of a name."""
        if self.peek().kind not in (WORD, QUOTED):
            if self.peek().value == "[" and self.peek().kind == SYMBOL:
                raise not_supported("names by id", self.peek().start)
            raise self.unexpected("identifier")
        return self.next().value

    def name(self) -> Name:
        """A name of one to three parts."""
        position = self.peek().start
        parts = [self.identifier()]
        while self.take_symbol("."):
            parts.append(self.identifier())
        if len(parts) > 3:
            raise EmulatorError(SYNTAX_ERROR, "a name has three parts at most", position=position)
        return Name(tuple(parts), position)

    def string(self) -> str:
        """A string literal."""
        if self.peek().kind != STRING:
            raise self.unexpected("literal string")
        return self.next().value

    def if_not_exists(self) -> bool:
        """IF NOT EXISTS."""
        if not self.take("if"):
            return False
        self.expect("not", "exists")
        return True

    def if_exists(self) -> bool:
        """IF EXISTS."""
        if not self.take("if"):
            return False
        self.expect("exists")
        return True

    def in_cluster(self) -> Name | None:
        """IN CLUSTER name."""
        return self.name() if self.take("in", "cluster") else None

    def rest(self) -> Text:
        """All that is left, as text."""
        first = self.peek()
        if first.kind == END:
            raise self.unexpected("an expression")
        self.at = len(self._tokens)
        return Text(self.source.text[first.start : self._tokens[-1].end], first.start)

    def inside_parentheses(self) -> Text:
        """The text between an opening parenthesis here and its end."""
        self.expect_symbol("(")
        text = self.until(")")
        self.expect_symbol(")")
        return text

    def until(self, *stops: str) -> Text:
        """The text up to one of these symbols or keywords, outside of parentheses; may be empty."""
        first, depth, end = self.peek(), 0, self.peek().start
        while True:
            token = self.peek()
            if token.kind == END:
                break
            if depth == 0 and token.kind in (SYMBOL, WORD) and token.value in stops:
                break
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.value, 0) if token.kind == SYMBOL else 0
            end = self.next().end
        return Text(self.source.text[first.start : end], first.start)

    def list_of_texts(self) -> tuple[Text, ...]:
        """Texts between parentheses, divided by commas."""
        self.expect_symbol("(")
        texts = [self.until(",", ")")]
        while self.take_symbol(","):
            texts.append(self.until(",", ")"))
        self.expect_symbol(")")
        return tuple(texts)

    def identifiers(self) -> tuple[str, ...]:
        """Identifiers between parentheses, divided by commas."""
        self.expect_symbol("(")
        names = [self.identifier()]
        while self.take_symbol(","):
            names.append(self.identifier())
        self.expect_symbol(")")
        return tuple(names)

    def options(self) -> dict[str, Text]:
        """`(NAME [=] value, …)`; the name is all words before the equals sign, or all but the last token."""
        self.expect_symbol("(")
        options: dict[str, Text] = {}
        while not self.take_symbol(")"):
            name, value = self._option()
            options[name] = value
            if not self.take_symbol(","):
                self.expect_symbol(")")
                break
        return options

    def _option(self) -> tuple[str, Text]:
        start = self.at
        text = self.until(",", ")")
        tokens = self._tokens[start : self.at]
        if not tokens:
            raise self.unexpected("an option")
        sign = next((at for at, token in enumerate(tokens) if token.value == "=" and token.kind == SYMBOL), None)
        if sign is not None:
            names, rest = tokens[:sign], tokens[sign + 1 :]
        else:
            end = next(
                (at for at, token in enumerate(tokens) if token.kind != WORD or (at and token.value in _SWITCHES)),
                len(tokens),
            )
            names, rest = tokens[:end], tokens[end:]
        value = Text(self.source.text[rest[0].start : rest[-1].end], rest[0].start) if rest else Text("", text.position)
        return " ".join(token.value for token in names), value
