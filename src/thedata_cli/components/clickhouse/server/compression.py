"""The Content-Encodings of HTTP: packing responses, unpacking bodies, both in pieces."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

import lz4.frame
import zstandard

from thedata_cli.components.clickhouse.server.errors import (
    CANNOT_DECOMPRESS,
    UNKNOWN_COMPRESSION_METHOD,
    ClickHouseError,
)


class Encoder(Protocol):
    """Packs a response piece by piece."""

    def encode(self, data: bytes) -> bytes:
        """Pack the next piece; what comes back may be empty."""

    def finish(self) -> bytes:
        """What is still held, and the end mark."""


class Decoder(Protocol):
    """Unpacks a body piece by piece."""

    def decode(self, data: bytes) -> bytes:
        """Unpack the next piece; what comes back may be empty."""

    def finish(self) -> bytes:
        """Raise if the body stopped in the middle."""


class _ObjectEncoder:
    """Any of the compressor objects: they share `compress` and `flush`."""

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.compress(data))

    def finish(self) -> bytes:
        return bytes(self._compressor.flush())


class _Lz4Encoder:
    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor()
        self._begin = self._compressor.begin()

    def encode(self, data: bytes) -> bytes:
        begin, self._begin = self._begin, b""
        return bytes(begin + self._compressor.compress(data))

    def finish(self) -> bytes:
        return bytes(self._begin + self._compressor.flush())


_ZSTD_LEVEL = 1
_GZIP_LEVEL = 3
_XZ_PRESET = 1
_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4Encoder,
    "zstd": lambda: _ObjectEncoder(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()),
    "gzip": lambda: _ObjectEncoder(zlib.compressobj(_GZIP_LEVEL, wbits=31)),
    "deflate": lambda: _ObjectEncoder(zlib.compressobj(_GZIP_LEVEL)),
    "bz2": lambda: _ObjectEncoder(bz2.BZ2Compressor()),
    "xz": lambda: _ObjectEncoder(lzma.LZMACompressor(preset=_XZ_PRESET)),
}
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": zlib.decompressobj,
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}
_FAULTS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, RuntimeError, OSError, EOFError)


class _MemberDecoder:
    """Files of these formats may be glued together: after the end of one the next begins."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = _DECOMPRESSORS[name]
        self._current: Any = None

    def decode(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._current is None:
                self._current = self._start()
            try:
                out.append(self._current.decompress(data))
            except _FAULTS as error:
                raise ClickHouseError(CANNOT_DECOMPRESS, f"The body is not valid {self._name}: {error}") from error
            data = b""
            if self._current.eof:
                data = self._current.unused_data or b""
                self._current = None
        return b"".join(out)

    def finish(self) -> bytes:
        if self._current is not None:
            raise ClickHouseError(CANNOT_DECOMPRESS, f"The {self._name} body ends in the middle.")
        return b""


def choose_encoding(accept_encoding: str) -> str | None:
    """The best encoding among those that the client accepts, or None.

    Example:
        >>> choose_encoding("gzip, deflate, br;q=0.5, zstd")
        'zstd'
    """
    accepted = set()
    for item in accept_encoding.lower().split(","):
        name, _, weight = item.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0"):
            accepted.add(name.strip())
    return next((name for name in _ENCODERS if name in accepted), None)


def make_encoder(name: str) -> Encoder:
    """An encoder for a name that `choose_encoding` gave."""
    return _ENCODERS[name]()


def make_decoder(content_encoding: str) -> Decoder | None:
    """A decoder for the body's Content-Encoding; None for a plain body."""
    name = content_encoding.strip().lower()
    name = {"x-gzip": "gzip", "identity": ""}.get(name, name)
    if not name:
        return None
    if name not in _DECOMPRESSORS:
        raise ClickHouseError(UNKNOWN_COMPRESSION_METHOD, f"Unknown Content-Encoding '{content_encoding}'.")
    return _MemberDecoder(name)
