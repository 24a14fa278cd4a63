"""The body of a webhook request as rows, and request headers as columns: bytes in, lines for COPY out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

MOST_BODY_BYTES = 5 * 1024 * 1024
_ENCODINGS = ("gzip", "deflate", "zstd", "br", "identity", "")
_WHITE = " \t\r\n"


class BodyError(Exception):
    """A request that is refused; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def decompress(body: bytes, encoding: str) -> bytes:
    """Unpack a body, to no more than the limit.

    Raises:
        BodyError: It is not what its header says, or too large.
    """
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name not in _ENCODINGS:
            raise BodyError(415, f"unsupported content encoding: {name}")
        try:
            body = _decompress_one(body, name)
        except (zlib.error, ValueError, EOFError) as error:
            raise BodyError(400, f"the body is not valid {name}: {error}") from error
    if len(body) > MOST_BODY_BYTES:
        raise BodyError(413, "length limit exceeded")
    return body


def _decompress_one(body: bytes, name: str) -> bytes:
    if name in ("", "identity"):
        return body
    if name in ("gzip", "deflate"):
        # 47: gzip or zlib, whichever it is; a "deflate" without a header is read in a second attempt.
        try:
            return _inflate(body, 47)
        except zlib.error:
            if name == "gzip":
                raise
            return _inflate(body, -15)
    if name == "br":
        raise BodyError(415, "the Materialize emulator does not support the content encoding br")
    import zstandard

    try:
        reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
        return reader.read(MOST_BODY_BYTES + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _inflate(body: bytes, window: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    data = unpacker.decompress(body, MOST_BODY_BYTES + 1)
    if not unpacker.eof and len(data) <= MOST_BODY_BYTES:
        raise EOFError("it ends too early")
    return data


def body_values(body: bytes, body_format: str) -> list[bytes]:
    r"""Return the value of the body column of each row, as COPY reads it in text.

    Raises:
        BodyError: The body is not of the format.

    Example:
        >>> body_values(b'{"a": 1}\n{"a": 2}', "json")
        [b'{"a": 1}', b'{"a": 2}']
    """
    if body_format == "bytes":
        return [b"\\\\x" + body.hex().encode()]
    if body_format == "text":
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise BodyError(400, f"failed to deserialize body as String: {error}") from error
        return [escape(text.encode())]
    return [escape(value) for value in _json_values(body, body_format == "json array")]


def _json_values(body: bytes, expands: bool) -> list[bytes]:
    lines = _as_lines(body)
    if lines is None:
        lines = list(_one_after_another(body))
    if not expands:
        return lines
    values: list[bytes] = []
    for line in lines:
        values.extend(_elements(line) if line.lstrip(_WHITE.encode())[:1] == b"[" else [line])
    return values


def _as_lines(body: bytes) -> list[bytes] | None:
    """Return the values when each line is one; the usual case, and by far the fastest."""
    import msgspec

    try:
        values: list[msgspec.Raw] = _line_decoder().decode_lines(body)
        return [bytes(value) for value in values]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _line_decoder() -> Any:
    import msgspec

    return msgspec.json.Decoder(msgspec.Raw)


def _elements(line: bytes) -> list[bytes]:
    import msgspec

    return [bytes(value) for value in msgspec.json.decode(line, type=list[msgspec.Raw])]


def _one_after_another(body: bytes) -> Iterator[bytes]:
    decoder = json.JSONDecoder()
    try:
        text = body.decode()
        at = len(text) - len(text.lstrip(_WHITE))
        while at < len(text):
            start = at
            _, at = decoder.raw_decode(text, start)
            yield text[start:at].encode()
            at += len(text[at:]) - len(text[at:].lstrip(_WHITE))
    except ValueError as error:
        raise BodyError(400, f"failed to deserialize body as Jsonb: {error}") from error


def escape(value: bytes) -> bytes:
    """Return a value as COPY reads it in text."""
    if b"\\" in value:
        value = value.replace(b"\\", b"\\\\")
    if b"\n" in value or b"\t" in value or b"\r" in value:
        value = value.replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
    return value


def header_values(headers: Mapping[str, str], definition: Mapping[str, Any]) -> bytes:
    """Return what follows the body column in each row of a request."""
    parts = []
    if definition["headers"] is not None:
        only, without = definition["headers"]["only"], definition["headers"]["without"]
        kept = {key: value for key, value in headers.items() if key not in without and (not only or key in only)}
        parts.append(escape(as_hstore(kept).encode()))
    for header, _, is_bytes in definition["mapped"]:
        value = headers.get(header)
        if value is None:
            parts.append(b"\\N")
        else:
            parts.append(b"\\\\x" + value.encode().hex().encode() if is_bytes else escape(value.encode()))
    return b"".join(b"\t" + part for part in parts)


def as_hstore(values: Mapping[str, str]) -> str:
    """Return a map as the backend reads it."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return ",".join(f"{quoted(key)}=>{quoted(value)}" for key, value in values.items())
