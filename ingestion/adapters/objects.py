"""A stream of bytes cut into single JSON objects, whatever stands or does not stand between them.

It exists because platforms do not keep to JSON Lines: Amazon Data Firehose writes one object right behind another, and
a page of an API is printed over many lines. It must not read what an object says, nor drop anything: text that is no
object becomes an item of its own that says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_OBJECT_BYTES = 16 << 20
MAX_DEPTH = 50
KEPT_OF_BAD_TEXT = 8_192

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_STRUCTURE = re.compile(rb'["{}\[\]\n]')
_STRING_END = re.compile(rb'["\\\n]')
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_OPENED_BY = {ord("}"): ord("{"), ord("]"): ord("[")}
_QUOTE, _BACKSLASH, _NEWLINE, _BRACE = ord('"'), ord("\\"), ord("\n"), ord("{")


@dataclass(frozen=True, slots=True)
class PlatformText:
    """One object of a stream, or a stretch of text that is none.

    Attributes:
        number: Its place in the stream, from 1, good and bad items counted alike.
        line: The line at which it begins, from 1.
        text: Its bytes; of bad text at most the first KEPT_OF_BAD_TEXT.
        problem: What is wrong with it, in a sentence; None for an object.
    """

    number: int
    line: int
    text: bytes
    problem: str | None = None


def objects(chunks: Iterable[bytes], max_bytes: int = MAX_OBJECT_BYTES) -> Iterator[PlatformText]:
    """Cut a stream into objects.

    Brackets and quotes are followed; nothing is decoded, so an object can still turn out to be no JSON. Where the text
    is damaged, the next line that begins with `{` is taken for the next object: also one inside of what seemed to
    be an object until the damage showed. Where chunks begin and end makes no difference.

    Args:
        chunks: The bytes in order, cut anywhere.
        max_bytes: Size beyond which an object is given up; so much is held in memory, and a chunk.
    """
    splitter = _Splitter(max_bytes)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.close()


class _Splitter:
    """Where in the stream we are.

    `held` is the object or the bad text begun so far. `problem` is None within and between objects. All positions
    that matter are counted in bytes of the stream, never in chunks.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.number = 0
        self.line = 1
        self.begin: bytes | None = (
            b""  # the first bytes of the stream, until it is known whether they are a BOM
        )
        self._reset()

    def _reset(self) -> None:
        self.held = bytearray()
        self.held_line = self.line
        self.problem: str | None = None
        self.at_line_start = False  # within bad text: the byte before was a line end
        self.stack = bytearray()
        self.in_string = False
        self.escaped = False
        self.before = 0  # last byte outside of strings that was not blank

    def feed(self, chunk: bytes) -> Iterator[PlatformText]:
        if self.begin is not None:
            self.begin += chunk
            if len(self.begin) < len(_BOM) and _BOM.startswith(self.begin):
                return
            chunk, self.begin = self.begin.removeprefix(_BOM), None
        waiting = [(chunk, 0)]
        while waiting:
            data, position = waiting.pop()
            while position < len(data):
                position, item, again = self._step(data, position)
                if item is not None:
                    yield item
                if again:  # part of a damaged object is looked at anew, before what follows it
                    waiting.append((data, position))
                    data, position = again, 0

    def close(self) -> Iterator[PlatformText]:
        if self.begin:
            begin, self.begin = self.begin, None
            yield from self.feed(begin)
        while self.held:
            if self.problem is not None:
                yield self._bad()
                return
            item, again = self._damage("the object is cut off: it does not end")
            yield from [item] if item else []
            yield from self.feed(again)

    def _step(self, data: bytes, position: int) -> tuple[int, PlatformText | None, bytes]:
        """Go on from a position: the new position, an item if one ended, and bytes to be looked at anew."""
        if self.problem is not None:
            return self._through_bad_text(data, position)
        if not self.held:
            return self._between(data, position)
        return self._within(data, position)

    def _between(self, data: bytes, position: int) -> tuple[int, PlatformText | None, bytes]:
        found = _NOT_BLANK.search(data, position)
        start = found.start() if found else len(data)
        self.line += data.count(b"\n", position, start)
        if found is None:
            return start, None, b""
        self.held_line = self.line
        if data[start] == _BRACE:
            self.held.append(_BRACE)
            self.stack.append(_BRACE)
            self.before = _BRACE
            return start + 1, None, b""
        self.problem = "text stands between objects"
        return start, None, b""

    def _through_bad_text(self, data: bytes, position: int) -> tuple[int, PlatformText | None, bytes]:
        if self.at_line_start and data[position] == _BRACE:
            return position, self._bad(), b""
        found = data.find(b"\n{", position)
        end = len(data) if found < 0 else found + 1
        kept = data[position : min(end, position + KEPT_OF_BAD_TEXT - len(self.held))]
        self.held += kept if len(self.held) < KEPT_OF_BAD_TEXT else b""
        self.line += data.count(b"\n", position, end)
        self.at_line_start = data[end - 1] == _NEWLINE
        return end, None, b""

    def _within(self, data: bytes, position: int) -> tuple[int, PlatformText | None, bytes]:
        """Follow an object to its end, to damage, to its greatest size or to the end of the data."""
        start = position
        limit = min(len(data), position + self.max_bytes - len(self.held))
        damage = ""
        while position < limit and not damage:
            if self.escaped:
                self.escaped = False
                position += 1
                continue
            pattern = _STRING_END if self.in_string else _STRUCTURE
            found = pattern.search(data, position, limit)
            end = found.start() if found else limit
            if not self.in_string:
                last = data[position:end].rstrip(_BLANK)
                self.before = last[-1] if last else self.before
            position = end
            if found is None:
                break
            byte = data[position]
            damage = self._in_string(byte) if self.in_string else self._outside(byte)
            if not damage:
                position += 1
            if not self.stack:
                self.held += data[start:position]
                text = bytes(self.held)
                item = PlatformText(self._next_number(), self.held_line, text)
                self.line = self.held_line + text.count(b"\n")
                self._reset()
                return position, item, b""
        self.held += data[start:position]
        if damage:
            bad, again = self._damage(damage)
            return position, bad, again
        if len(self.held) >= self.max_bytes:
            self.line = self.held_line + self.held.count(b"\n")
            self.at_line_start = self.held.endswith(b"\n")
            del self.held[KEPT_OF_BAD_TEXT:]
            self.problem = f"an object is larger than {self.max_bytes} bytes"
        return position, None, b""

    def _in_string(self, byte: int) -> str:
        if byte == _NEWLINE:
            return "a text is not closed before the line ends"
        self.escaped = byte == _BACKSLASH
        self.in_string = byte != _QUOTE
        return ""

    def _outside(self, byte: int) -> str:
        """Take a byte of the structure into account; what is wrong with it, if anything."""
        if byte == _NEWLINE:
            return ""
        if byte == _QUOTE:
            self.in_string = True
        elif byte in _OPENED_BY:
            if self.stack[-1] != _OPENED_BY[byte]:
                return "brackets do not match"
            self.stack.pop()
        else:
            in_list = self.stack[-1] == ord("[")
            if not (self.before == ord(":") or (in_list and self.before in b"[,")):
                return "an object does not end before the next one begins"
            if len(self.stack) >= MAX_DEPTH:
                return f"an object is nested more than {MAX_DEPTH} deep"
            self.stack.append(byte)
        self.before = byte
        return ""

    def _damage(self, problem: str) -> tuple[PlatformText | None, bytes]:
        """Give up the object that was begun, up to its next line that begins with `{`.

        Returns:
            The bad item if such a line is in what is held, and then what is held from that line on. Else the object
            is bad text from here on, and nothing is returned.
        """
        text = bytes(self.held)
        found = text.find(b"\n{")
        self.problem = problem
        if found < 0:
            self.line = self.held_line + text.count(b"\n")
            self.at_line_start = text.endswith(b"\n")
            del self.held[KEPT_OF_BAD_TEXT:]
            return None, b""
        self.line = self.held_line + text.count(b"\n", 0, found + 1)
        del self.held[min(found, KEPT_OF_BAD_TEXT) :]
        return self._bad(), text[found + 1 :]

    def _bad(self) -> PlatformText:
        item = PlatformText(
            self._next_number(), self.held_line, bytes(self.held).rstrip(_BLANK), self.problem
        )
        self._reset()
        return item

    def _next_number(self) -> int:
        self.number += 1
        return self.number
