"""Bytes of Native blocks that arrive in pieces, and the place that a walk over them has reached.

A walk is a generator: it yields when it has to see bytes that have not arrived yet.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Walk = Generator[None, None, T]

U64_BYTES = 8


class Source:
    """The bytes that have arrived, and how far the walk is. The walk may be ahead of them."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.position = 0

    def skip(self, count: int) -> None:
        """Step over bytes, whether they are there yet or not."""
        self.position += count

    def need(self, count: int) -> Walk[None]:
        """Wait until `count` bytes from here have arrived."""
        while len(self.buffer) < self.position + count:
            yield

    def u64(self) -> Walk[int]:
        """Read a 64-bit little-endian number."""
        yield from self.need(U64_BYTES)
        value = int.from_bytes(self.buffer[self.position : self.position + U64_BYTES], "little")
        self.position += U64_BYTES
        return value

    def varint(self) -> Walk[int]:
        """Read a LEB128 number."""
        value = shift = 0
        while True:
            yield from self.need(1)
            byte = self.buffer[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def string(self) -> Walk[bytes]:
        """Read a string with its length before it."""
        length = yield from self.varint()
        yield from self.need(length)
        value = bytes(self.buffer[self.position : self.position + length])
        self.position += length
        return value

    def skip_strings(self, count: int) -> Walk[None]:
        """Step over `count` strings: the one loop over values, so it is written for speed."""
        while count:
            yield from self.need(1)
            buffer, position = self.buffer, self.position
            left = count
            try:
                for left in range(count, 0, -1):  # noqa: B007 (read after the loop)
                    length = buffer[position]
                    if length >= 0x80:
                        break
                    position += length + 1
                else:
                    left = 0
            except IndexError:
                # The next string has not begun to arrive.
                pass
            count, self.position = left, position
            if count and position < len(buffer):
                length = yield from self.varint()
                self.position += length
                count -= 1
