"""ClickHouse's own compressed frames: what `compress=1` and `decompress=1` ask for.

A frame is a 16-byte CityHash128 of all that follows, a byte for the method, the size of header and
packed data, the size of the plain data (both 32-bit little-endian), and the packed data.
"""

from __future__ import annotations

import struct

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from thedata_cli.components.clickhouse.server.errors import (
    CANNOT_DECOMPRESS,
    CHECKSUM_DOESNT_MATCH,
    UNKNOWN_COMPRESSION_METHOD,
    ClickHouseError,
)

_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90
_HEADER = struct.Struct("<BII")
_CHECKSUM_BYTES = 16
_FRAME_BYTES = 1 << 20
_MAX_PACKED_BYTES = 1 << 30
_WORD = (1 << 64) - 1


def _checksum(data: bytes) -> bytes:
    value = CityHash128(data)
    return struct.pack("<QQ", value >> 64, value & _WORD)


class FrameEncoder:
    """Packs a response into LZ4 frames of at most a mebibyte."""

    def encode(self, data: bytes) -> bytes:
        """Every piece leaves at once, in one or more frames."""
        return b"".join(_frame(data[start : start + _FRAME_BYTES]) for start in range(0, len(data), _FRAME_BYTES))

    def finish(self) -> bytes:
        """Frames need no end mark."""
        return b""


def _frame(data: bytes) -> bytes:
    packed = bytes(lz4.block.compress(data, store_size=False))
    body = _HEADER.pack(_LZ4, len(packed) + _HEADER.size, len(data)) + packed
    return b"".join((_checksum(body), body))


class FrameDecoder:
    """Unpacks frames that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._held = bytearray()

    def decode(self, data: bytes) -> bytes:
        """The plain data of all frames that are complete by now."""
        self._held += data
        out = []
        while (frame := self._next_frame()) is not None:
            out.append(_unpack(frame))
        return b"".join(out)

    def _next_frame(self) -> bytes | None:
        head = _CHECKSUM_BYTES + _HEADER.size
        if len(self._held) < head:
            return None
        _, packed_bytes, plain_bytes = _HEADER.unpack_from(self._held, _CHECKSUM_BYTES)
        if not _HEADER.size <= packed_bytes <= _MAX_PACKED_BYTES or plain_bytes > _MAX_PACKED_BYTES:
            raise ClickHouseError(CANNOT_DECOMPRESS, "A compressed frame has an impossible size.")
        end = _CHECKSUM_BYTES + packed_bytes
        if len(self._held) < end:
            return None
        frame = bytes(self._held[:end])
        del self._held[:end]
        return frame

    def finish(self) -> bytes:
        """Raise if the last frame is not complete."""
        if self._held:
            raise ClickHouseError(CANNOT_DECOMPRESS, "The body ends in the middle of a compressed frame.")
        return b""


def _unpack(frame: bytes) -> bytes:
    body = frame[_CHECKSUM_BYTES:]
    if _checksum(body) != frame[:_CHECKSUM_BYTES]:
        raise ClickHouseError(CHECKSUM_DOESNT_MATCH, "Checksum doesn't match: corrupted data in a compressed frame.")
    method, _, plain_bytes = _HEADER.unpack_from(body)
    packed = body[_HEADER.size :]
    try:
        if method == _LZ4:
            return bytes(lz4.block.decompress(packed, uncompressed_size=plain_bytes))
        if method == _ZSTD:
            return bytes(zstandard.ZstdDecompressor().decompress(packed, max_output_size=plain_bytes))
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise ClickHouseError(CANNOT_DECOMPRESS, f"A compressed frame cannot be read: {error}") from error
    if method == _NONE:
        return packed
    raise ClickHouseError(UNKNOWN_COMPRESSION_METHOD, f"Unknown compression method of a frame: 0x{method:02x}.")
