"""Bytes to numbered lines: nothing lost, nothing held that is too large, and files that are something else."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion import lines
from ingestion.findings import FileNotReadyError, FileRefusedError
from ingestion.lines import Lines, chunks_of, other_format


def read(content: bytes, packed: bool = False) -> list[tuple[int, bytes, bool]]:
    """Every line that is not empty: number, bytes, too long."""
    return [
        (chunk.first_line + index, line, chunk.too_long)
        for chunk in chunks_of(io.BytesIO(content), packed=packed)
        for index, line in enumerate(chunk.data.split(b"\n"))
        if line
    ]


@given(
    content=st.lists(st.binary(max_size=12), min_size=1, max_size=20).map(b"\n".join).filter(bool),
    block=st.integers(1, 9),
    longest=st.integers(3, 9),
    packed=st.booleans(),
)
def test_lines_are_those_of_the_file_whatever_the_blocks(
    content: bytes, block: int, longest: int, packed: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block)
        patch.setattr(lines, "MAX_LINE_BYTES", longest)
        patch.setattr(lines, "_OTHER_ENCODINGS", ())
        found = read(gzip.compress(content) if packed else content, packed)
    body = content.removeprefix(b"\xef\xbb\xbf") if block >= 3 else content
    expected = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line]
    assert [number for number, _, _ in found] == [number for number, _ in expected]
    for (_, line, too_long), (_, whole) in zip(found, expected, strict=True):
        assert whole.startswith(line) if too_long else line == whole
        assert too_long <= (len(whole) > longest)


def test_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert read(b"\xef\xbb\xbf{}\n[]") == [(1, b"{}", False), (2, b"[]", False)]


def test_line_without_end_costs_no_memory() -> None:
    class Endless(io.RawIOBase):
        """400 MB of one line, then one more line."""

        def __init__(self) -> None:
            self.left = 400 << 20

        def seek(self, offset: int, whence: int = 0) -> int:
            return 1

        def read(self, count: int = -1) -> bytes:
            if not self.left:
                return b""
            count = min(count, self.left)
            self.left -= count
            return b"x" * count if self.left else b"x" * (count - 3) + b"\n{}"

    tracemalloc.start()
    found = [(chunk.first_line, chunk.too_long) for chunk in chunks_of(Endless(), packed=False)]  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(1, True), (2, False)]
    assert peak < 80 << 20


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_gzip_that_is_cut_off_is_not_ready(share: float) -> None:
    content = gzip.compress(b'{"a": 1}\n' * 20_000)
    with pytest.raises(FileNotReadyError) as caught:
        read(content[: int(len(content) * share)], packed=True)
    assert caught.value.rule == "cut_off"


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"{}")[:-8] + b"12345678", gzip.compress(b"{}") + b"tail"]
)
def test_gzip_that_does_not_end_well_is_not_ready(content: bytes) -> None:
    with pytest.raises(FileNotReadyError):
        read(content, packed=True)


def test_gzip_in_several_members_is_one_file() -> None:
    assert read(gzip.compress(b"{}\n") + gzip.compress(b"[]\n"), packed=True) == [
        (1, b"{}", False),
        (2, b"[]", False),
    ]


def test_gzip_bomb_is_refused_long_before_its_end() -> None:
    class Counting(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            self.taken = self.tell()
            return super().read(size)

    def bomb() -> Iterator[bytes]:
        packer = gzip.zlib.compressobj(wbits=31)
        for _ in range(512):
            yield packer.compress(bytes(1 << 20))
        yield packer.flush()

    file = Counting(b"".join(bomb()))
    size = len(file.getvalue())
    with pytest.raises(FileRefusedError) as caught:
        list(chunks_of(file, packed=True))
    assert caught.value.rule == "unpacked_too_large"
    assert file.taken < size / 2


def test_unpacked_size_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_UNPACKED_BYTES", 1_000)
    assert read(gzip.compress(b"x" * 1_000), packed=True)
    with pytest.raises(FileRefusedError, match="1001"):
        read(gzip.compress(b"x" * 1_001), packed=True)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        ("{}".encode("utf-16"), "wrong_encoding"),
        ("{}".encode("utf-32"), "wrong_encoding"),
        (b"\xfe\xff\x00{\x00}", "wrong_encoding"),
    ],
)
def test_file_that_can_hold_no_row_is_refused(content: bytes, rule: str) -> None:
    with pytest.raises(FileRefusedError) as caught:
        read(content)
    assert caught.value.rule == rule


def test_empty_gzip_is_an_empty_file() -> None:
    for content in (b"", gzip.compress(b"")):
        with pytest.raises(FileRefusedError, match="0 bytes"):
            read(content, packed=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\n  <!DOCTYPE html>", "web page"),
        (gzip.compress(b"{}"), "gzip"),
        (b"PK\x03\x04rest", "zip"),
        (b"%PDF-1.7", "PDF"),
        (b'[{"call_id": "1"}]', "array"),
        (b'{"call_id": "1"}', None),
    ],
)
def test_other_formats_are_named(content: bytes, told: str | None) -> None:
    said = other_format(io.BytesIO(content), packed=False)
    assert (said is None) if told is None else (said is not None and told in said)


@given(st.text("ab\n\r}{", max_size=30).map(str.encode), st.data())
def test_lines_of_a_chunk_are_told_apart_without_a_copy(text: bytes, data: st.DataObject) -> None:
    found, expected = Lines(text, 5), text.split(b"\n")
    assert [found[index] for index in range(len(found))] == expected and found.first_line == 5
    assert found.first_bytes().tolist() == [line[0] if line else 0 for line in expected]
    for back in (1, 2):
        last = [line[-back] if len(line) >= back else 0 for line in expected]
        assert found.last_bytes(back).tolist() == last
    chosen = data.draw(st.lists(st.integers(0, len(expected) - 1), unique=True).map(sorted))
    assert found.text_of(np.array(chosen, dtype=np.int64)) == b"\n".join(expected[index] for index in chosen)
    holding = found.holding(np.flatnonzero(found.bytes == ord("a"))).tolist()
    assert holding == [index for index, line in enumerate(expected) for _ in range(line.count(b"a"))]
