"""What a webhook source takes, as its definition says: the declared one, or the server's own spelling of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thedata_cli.component_api.declarations import AnyDeclared
from thedata_cli.component_api.routes import Route
from thedata_cli.components.materialize.sql_text import Token, name_parts, tokenize
from thedata_cli.errors import Problem

JSON = "json"
BODY_HINT = "rows are sent as JSON: its definition must say BODY FORMAT JSON"


@dataclass(frozen=True)
class WebhookDefinition:
    """A webhook source.

    Attributes:
        body_format: In lower case, such as `json array`; empty when the source is none of webhooks.
        check: The CHECK as written; empty when it has none.
        secrets: Names of the secrets that CHECK uses.
    """

    body_format: str
    check: str
    secrets: tuple[str, ...]


def webhook_definition(statement: str) -> WebhookDefinition:
    """Read a CREATE SOURCE statement.

    Example:
        >>> webhook_definition("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON CHECK (WITH (SECRET k) k = 'x')")
        WebhookDefinition(body_format='json', check="CHECK (WITH (SECRET k) k = 'x')", secrets=('k',))
    """
    tokens = tokenize(statement)
    check = _check(tokens)
    return WebhookDefinition(
        _body_format(tokens),
        statement[check[0].start : check[-1].end] if check else "",
        tuple(parts[-1].value for parts in check_secrets(tokens)),
    )


def check_secrets(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield the names of the secrets that the CHECK of a statement uses, each in its parts."""
    check = _check(tokens)
    inputs = _in_parentheses(check, 3) if len(check) > 3 and check[2].is_word("with") else []
    for at, token in enumerate(inputs):
        if token.is_word("secret") and (at == 1 or inputs[at - 1].is_symbol(",")):
            # The server's own spelling may have the id first: SECRET [u3 AS materialize.public.k].
            has_id = at + 1 < len(inputs) and inputs[at + 1].is_symbol("[")
            if parts := name_parts(inputs, at + 4 if has_id else at + 1):
                yield parts


def route_problems(routes: Sequence[Route], declared: Sequence[AnyDeclared], component: str) -> Iterator[Problem]:
    """Yield routes of this component to what is no source that takes JSON, or whose rows could not be signed."""
    sources = {one.model.name: one.model for one in declared if one.model.kind == "source"}
    values = {one.model.name: one.model.value for one in declared if one.model.value}
    for route in routes:
        if route.target.component != component or route.position is None:
            continue
        name = route.target.name
        if name not in sources:
            yield Problem(route.position, "sources", f"unknown source {component}/{name}", "declare it in views/")
            continue
        definition = webhook_definition(sources[name].statement)
        if definition.body_format != JSON:
            what = definition.body_format.upper() or "no webhooks"
            message = f"source {component}/{name} takes {what}, and no rows of a pipeline"
            yield Problem(route.position, "sources", message, BODY_HINT)
        for secret in definition.secrets[:1]:
            if values.get(secret, secret) != secret:
                message = f"rows for source {component}/{name} are signed with secrets/{secret}, not {values[secret]}"
                yield Problem(route.position, "sources", message, f"write CREATE SECRET {secret} AS :'{secret}'")


def _body_format(tokens: Sequence[Token]) -> str:
    for at, token in enumerate(tokens[:-2]):
        if token.is_word("body") and tokens[at + 1].is_word("format"):
            is_array = at + 3 < len(tokens) and tokens[at + 3].is_word("array")
            return f"{tokens[at + 2].value} array" if is_array else tokens[at + 2].value
    return ""


def _check(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens from CHECK to the parenthesis that closes it."""
    for at, token in enumerate(tokens[:-1]):
        if token.is_word("check") and tokens[at + 1].is_symbol("("):
            return [token, *_in_parentheses(tokens, at + 1)]
    return []


def _in_parentheses(tokens: Sequence[Token], at: int) -> list[Token]:
    """Return the tokens from an opening parenthesis to the one that closes it, both included."""
    depth = 0
    for end in range(at, len(tokens)):
        depth += tokens[end].is_symbol("(") - tokens[end].is_symbol(")")
        if depth == 0:
            return list(tokens[at : end + 1])
    return []
