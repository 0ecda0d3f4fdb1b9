"""What can be wrong with a row or a file, in words: the rules, and the three ways in which reading can stop.

Rule names are part of the interface: they stand in quarantine.rows, in ops.files and in the interface control document.
"""

from __future__ import annotations

from dataclasses import dataclass

ROW_RULES = {
    "line_too_long": ("The line is longer than 16 MiB.", "Send one record to a line."),
    "not_utf8": ("The line holds bytes that are not UTF-8.", "Write the file as UTF-8."),
    "invalid_json": ("The line is not one JSON value.", "Write one whole JSON object to a line."),
    "not_an_object": ("The line is JSON, but not an object.", "Write one JSON object to a line."),
    "ragged_row": ("A CSV row has more or fewer cells than the header.", "Quote cells that hold a comma."),
    "invalid_csv": ("A CSV row is not as RFC 4180 says.", "Quote cells that hold a quote, and double it."),
    "unterminated_quote": (
        "A quote is opened and not closed.",
        "Close it; double a quote within a quoted cell.",
    ),
    "repeated_key": ("The key stood in an earlier row of the same full extract.", "Send each record once."),
    "repeated_field": ("An object holds one field name twice.", "Send each field once."),
    "invalid_text": (
        "A text holds a NUL character or half of a surrogate pair, which no database stores.",
        "Remove the character.",
    ),
    "missing_field": ("A required field is absent.", "Send the field."),
    "wrong_type": (
        "A value has another type than the contract says.",
        "Send the type that the contract says.",
    ),
    "not_in_list": ("A value is not one of those that the contract lists.", "Send a value of the list."),
    "out_of_range": ("A number is too small or too great.", "Correct the number."),
    "not_finite": ("A number is not finite, or beyond what a double holds.", "Send a finite number."),
    "wrong_length": ("A text is too short or too long.", "Send a text of the length that the contract says."),
    "timestamp_format": (
        "A timestamp is not ISO 8601 with date, time, up to six decimals and `Z` or an offset, or does not exist.",
        "Send it such as 2026-03-02T09:00:40.500Z.",
    ),
    "date_format": ("A date is not YYYY-MM-DD, or does not exist.", "Send it such as 2026-03-02."),
    "timestamp_without_offset": (
        "A timestamp has neither `Z` nor an offset, and is never read as local time.",
        "Add `Z` or the offset.",
    ),
    "timestamp_out_of_range": (
        "A timestamp lies before 1990 or more than a day after the load.",
        "Correct the clock or the value.",
    ),
}
"""Rules that every interface has for a row: what is wrong, and what the sender does. Contracts add their own."""

FILE_RULES = {
    "file_name": (
        "The name is not `<interface>_<platform>_<YYYYMMDDTHHMMSSZ>_<sequence>.<format>[.gz]`.",
        "Send the file under such a name.",
    ),
    "empty_file": ("The file holds no row.", "Send the rows; when there are none, send no file."),
    "not_json_lines": ("The file is something else than JSON Lines, such as a web page.", "Send JSON Lines."),
    "wrong_header": (
        "The first row is not the header of this interface: a column is missing or stands twice.",
        "Send the header that the interface control document shows, with commas between its names.",
    ),
    "extract_stale": (
        "The full extract is older than the one that is current, so it is held.",
        "Nothing, if a newer one is in use; else correct the time in its name and send it again.",
    ),
    "extract_size": (
        "The number of rows of the full extract differs too much from the current one, so it is held.",
        "Send the whole extract; if it is right, release it with `contactbi quarantine retry FILE --release`.",
    ),
    "extract_bad_rows": (
        "A row of the full extract is refused for its line ends or quotes, so rows may be missing: it is held.",
        "Correct the rows that quarantine.rows names, and send the extract again.",
    ),
    "wrong_encoding": ("The file is UTF-16 or UTF-32.", "Write the file as UTF-8."),
    "digest_differs": (
        "The bytes differ from `<name>.sha256`, poll after poll.",
        "Send the file again, or its right digest.",
    ),
    "cut_off": ("The gzip does not end well, poll after poll.", "Send the whole file again."),
    "unpacked_too_large": (
        "The file unpacks to more than 64 GiB, or to more than 250 times its size.",
        "Split the file.",
    ),
    "too_many_bad_rows": (
        "More rows break a rule than the share that is allowed, so none is loaded.",
        "Correct the rows that quarantine.rows names, and send the file again.",
    ),
    "refused_by_database": (
        "The database refused the rows, so none is loaded.",
        "Report it: the contract let through what it should not.",
    ),
}
"""Rules for a whole file: what is wrong, and what the sender does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One refused row: its line from 1, the field (a path such as `legs[0].queue`), the rule, a message and its text.

    Message and text hold no personal data. `call_id` names a call that was put together from records of a platform and
    refused: it is no row of the file.
    """

    line_number: int
    field: str | None
    rule: str
    message: str
    raw_text: str
    call_id: str | None = None


class RowRefusedError(Exception):
    """A row breaks a rule. `detail` says what is wrong and what to do, and may still hold personal data."""

    def __init__(self, rule: str, detail: str, field: str | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.detail = detail
        self.field = field


class FileRefusedError(Exception):
    """A whole file breaks a rule of FILE_RULES, and waiting would not help."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


class FileNotReadyError(FileRefusedError):
    """A file is not whole yet, as far as can be told: the next poll looks again."""
