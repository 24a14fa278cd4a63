"""Native blocks as the engine writes them (protocol revision 0), in the form that newer revisions have.

A newer block starts with block info, names the zone of a DateTime, and has a byte per column that says
that its serialization is the usual one. All else is the same, so blocks pass through in pieces and
nothing but their headers is held.
"""

from __future__ import annotations

from collections.abc import Sequence

from thedata_cli.components.clickhouse.server.errors import INCORRECT_DATA, ClickHouseError
from thedata_cli.components.clickhouse.server.native_columns import column_for
from thedata_cli.components.clickhouse.server.native_source import Source, Walk

_BLOCK_INFO = bytes.fromhex("01 00 02 FF FF FF FF 00")
_USUAL_SERIALIZATION = b"\0"
_REVISION_WITH_TIME_ZONE = 54337
_REVISION_WITH_SERIALIZATION_BYTE = 54454


class NativeEncoder:
    """Rewrites a stream of blocks, fed in pieces of any size."""

    def __init__(self, revision: int, full_types: Sequence[str] = ()) -> None:
        """Keep what to write.

        Args:
            revision: The client's protocol revision; more than 0.
            full_types: The types of the columns with their zones; empty when they are not known.
        """
        self._has_zone = revision >= _REVISION_WITH_TIME_ZONE
        self._has_serialization_byte = revision >= _REVISION_WITH_SERIALIZATION_BYTE
        self._full_types = full_types
        self._source = Source()
        self._out: list[bytes] = []
        self._is_inside_block = False
        # A type name is replaced, so nothing of it may leave before it is whole.
        self._is_inside_type = False
        self._walk = self._walk_blocks()
        next(self._walk)

    def encode(self, data: bytes) -> bytes:
        """Take the next piece and return all that can leave."""
        self._source.buffer += data
        next(self._walk)
        if not self._is_inside_type:
            self._pass_on()
        out = b"".join(self._out)
        self._out.clear()
        return out

    def finish(self) -> bytes:
        """Nothing is held at the end of a whole stream.

        Raises:
            ClickHouseError: The stream stopped inside a block.
        """
        if self._is_inside_block or self._source.position:
            raise ClickHouseError(INCORRECT_DATA, "A Native block ends in the middle.")
        return b""

    def _pass_on(self) -> None:
        """Let go of everything that the walk has passed."""
        source = self._source
        count = min(source.position, len(source.buffer))
        self._out.append(bytes(source.buffer[:count]))
        del source.buffer[:count]
        source.position -= count

    def _insert(self, data: bytes) -> None:
        self._pass_on()
        self._out.append(data)

    def _walk_blocks(self) -> Walk[None]:
        source = self._source
        while True:
            self._is_inside_block = False
            # One piece more than the walk asks for is needed to begin a block, also after a step ahead.
            while source.position >= len(source.buffer):
                yield
            self._is_inside_block = True
            self._insert(_BLOCK_INFO)
            columns = yield from source.varint()
            rows = yield from source.varint()
            for index in range(columns):
                yield from self._walk_column(index, rows)

    def _walk_column(self, index: int, rows: int) -> Walk[None]:
        source = self._source
        yield from source.string()
        self._pass_on()
        self._is_inside_type = True
        written = yield from source.string()
        self._is_inside_type = False
        type_name = self._full_type(index, written.decode("utf-8", "surrogateescape"))
        del source.buffer[: source.position]
        source.position = 0
        encoded = type_name.encode("utf-8", "surrogateescape")
        self._out.append(_varint(len(encoded)) + encoded)
        if self._has_serialization_byte:
            self._out.append(_USUAL_SERIALIZATION)
        if rows:
            column = column_for(type_name)
            yield from column.prefix(source)
            yield from column.data(source, rows)

    def _full_type(self, index: int, written: str) -> str:
        if self._has_zone and written == "DateTime" and index < len(self._full_types):
            full = self._full_types[index]
            return full if full.startswith("DateTime(") else written
        return written


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
