"""Content-Encodings and ClickHouse's own frames, without a server."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thedata_cli.components.clickhouse.server.compression import Decoder, choose_encoding, make_decoder, make_encoder
from thedata_cli.components.clickhouse.server.errors import ClickHouseError
from thedata_cli.components.clickhouse.server.frames import FrameDecoder, FrameEncoder

ENCODINGS = ("lz4", "zstd", "gzip", "deflate", "bz2", "xz")


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def decode_all(decoder: Decoder, data: bytes) -> bytes:
    return decoder.decode(data) + decoder.finish()


@pytest.mark.parametrize("name", ENCODINGS)
@given(pieces=st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=5), size=st.integers(1, 700))
@settings(max_examples=30, deadline=None)
def test_what_is_packed_in_pieces_is_unpacked_in_other_pieces(name: str, pieces: list[bytes], size: int) -> None:
    encoder, decoder = make_encoder(name), make_decoder(name)
    assert decoder is not None
    packed = b"".join(encoder.encode(piece) for piece in pieces) + encoder.finish()
    plain = b"".join(decoder.decode(piece) for piece in in_pieces(packed, size)) + decoder.finish()
    assert plain == b"".join(pieces)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_packed_body_that_is_cut_or_broken_is_refused(name: str) -> None:
    encoder = make_encoder(name)
    packed = encoder.encode(b"some text " * 100) + encoder.finish()
    for body in (packed[: len(packed) // 2], b"this is not packed at all, by any of these methods"):
        decoder = make_decoder(name)
        assert decoder is not None
        with pytest.raises(ClickHouseError) as refused:
            decode_all(decoder, body)
        assert refused.value.code == 271


def test_gzip_files_may_be_glued_together() -> None:
    decoder = make_decoder("gzip")
    assert decoder is not None
    assert decoder.decode(gzip.compress(b"one") + gzip.compress(b"two")) + decoder.finish() == b"onetwo"


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [("", None), ("br", None), ("gzip, deflate", "gzip"), ("gzip, lz4;q=0, zstd", "zstd"), ("LZ4", "lz4")],
)
def test_the_encoding_is_one_that_the_client_takes(accepted: str, chosen: str | None) -> None:
    assert choose_encoding(accepted) == chosen


def test_an_unknown_content_encoding_is_refused() -> None:
    with pytest.raises(ClickHouseError) as refused:
        make_decoder("rot13")
    assert refused.value.code == 89


@given(pieces=st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4), size=st.integers(1, 900))
def test_frames_go_and_come_back(pieces: list[bytes], size: int) -> None:
    encoder, decoder = FrameEncoder(), FrameDecoder()
    packed = b"".join(map(encoder.encode, pieces)) + encoder.finish()
    plain = b"".join(decoder.decode(piece) for piece in in_pieces(packed, size)) + decoder.finish()
    assert plain == b"".join(pieces)


@given(place=st.integers(min_value=0, max_value=200), flip=st.integers(1, 255))
def test_a_changed_byte_of_a_frame_is_noticed(place: int, flip: int) -> None:
    packed = bytearray(FrameEncoder().encode(bytes(range(256))))
    packed[place] ^= flip
    decoder = FrameDecoder()
    with pytest.raises(ClickHouseError):
        decode_all(decoder, bytes(packed))
