"""From a line of input to a message: its subject, the check against its contract, and its message id. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from thedata_cli.component_api.contracts import Contract
from thedata_cli.component_api.live import OutgoingMessage
from thedata_cli.component_api.subjects import check_subject, covers, overlap
from thedata_cli.project.feeds import subject_pattern

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_TOKEN = re.compile(r"[^\s.*>\x00-\x20\x7f]+")
_SUBJECTS_REMEMBERED = 10_000


class MessageMaker:
    """Makes messages of one subject, or of subjects that their own fields fill in.

    Args:
        subject: May hold fields of the message, as in `flights.departures.{origin}`.
        contracts: Of the whole project; those whose subject matches apply. A message must fit one of them, and may be
            anything where none applies.

    Raises:
        ValueError: The subject is none.
    """

    def __init__(self, subject: str, contracts: Iterable[Contract]) -> None:
        names = _PLACEHOLDER.findall(subject)
        if not {"*", ">", "{", "}"}.isdisjoint(_PLACEHOLDER.sub("", subject)):
            raise ValueError(f"{subject!r} is a pattern; a message needs one subject, such as `flights.{{origin}}`")
        pattern = check_subject(subject_pattern(subject))
        self._subject = subject
        self._fields = _FieldReader(names) if names else None
        near = [contract for contract in contracts if overlap(contract.subject, pattern)]
        is_fixed = all(covers(contract.subject, pattern) for contract in near)
        self._contracts_of = lru_cache(_SUBJECTS_REMEMBERED)(
            lambda subject: [contract for contract in near if is_fixed or covers(contract.subject, subject)]
        )

    def message(self, payload: bytes) -> OutgoingMessage:
        """Return the message of one payload.

        Raises:
            ValueError: It breaks its contract, or lacks a field of its subject; the text says where and how.
        """
        subject = self._fields.fill(self._subject, payload) if self._fields else self._subject
        contracts = self._contracts_of(subject)
        return OutgoingMessage(subject, payload, _checked_id(payload, contracts) if contracts else "")


def _checked_id(payload: bytes, contracts: Sequence[Contract]) -> str:
    """Return the message id by the first contract that the payload fits.

    Raises:
        ValueError: It fits none; the text is about the first.
    """
    first: ValueError | None = None
    for contract in contracts:
        decoder = contract.decoder
        try:
            return decoder.message_id(decoder.decode(payload))
        except ValueError as error:
            first = first or ValueError(f"breaks the contract {contract.name}: {error}")
    assert first
    raise first


class _FieldReader:
    """Reads a few fields of a JSON object and passes over the rest."""

    def __init__(self, names: Sequence[str]) -> None:
        import msgspec

        self._names = list(dict.fromkeys(names))
        fields = [(f"f{index}", str | int | bool) for index in range(len(self._names))]
        rename = {f"f{index}": name for index, name in enumerate(self._names)}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("SubjectFields", fields, rename=rename)
        )

    def fill(self, template: str, payload: bytes) -> str:
        """Return the subject of a payload.

        Raises:
            ValueError: A field is missing, or its value cannot be a token of a subject.
        """
        try:
            found = self._decoder.decode(payload)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"cannot fill the subject {template}: {error}") from None
        tokens: dict[str, str] = {}
        for index, name in enumerate(self._names):
            value = getattr(found, f"f{index}")
            token = tokens[name] = str(value).lower() if isinstance(value, bool) else str(value)
            if not _TOKEN.fullmatch(token):
                raise ValueError(f"cannot fill the subject {template}: {name} is {token!r}, which is no token")
        return _PLACEHOLDER.sub(lambda placeholder: tokens[placeholder[1]], template)
