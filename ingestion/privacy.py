"""Personal data: what replaces a caller's number, and how card, telephone numbers and e-mail addresses are hidden.

Nothing that this module was given may leave it in the clear, in a message, a log or an exception. It opens no file.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from typing import Any, Literal

import phonenumbers

MissingReason = Literal["withheld", "anonymous", "empty", "unparseable"]

REDACTED_CARD = "[card number removed]"
MASKED_NUMBER = "[number masked]"
MASKED_EMAIL = "[e-mail masked]"
MASKED_VALUE = "[masked]"

_SEPARATORS = str.maketrans("", "", " -")
_UK_NUMBER = re.compile(r"(?:tel:)?(?:\+44|0044|0)([1-9][0-9]{9})")

_GAP = r"[\s\u00ad\u2010-\u2015\u2212-]"
_CARD = re.compile(rf"(?<!\d)\d(?:{_GAP}{{0,2}}\d){{12,}}(?!\d)")
_DIGIT_GROUP = re.compile(r"\d+")
_CARD_DIGITS = range(13, 20)

_EMAIL = r"[^\s\"'<>()\[\]{},:;\\@]{1,64}@\w[\w.-]*"  # bounded: time stays linear
_NUMBER = r"[+(]{0,2}\d(?:[\s().\u00ad\u2010-\u2015\u2212/-]{0,3}\d){6,}"
# An identifier or a timestamp would look like a telephone number in places; neither is personal.
_KEEP = (
    r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"
    r"|(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d:[0-6]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d|(?!\d))"
)
# Whole numbers of other lengths are counts, or times in seconds or milliseconds since 1970.
_NUMBER_AS_INTEGER = re.compile(r"[3-9]\d{9}|\d{11,12}")
_ESCAPED_ASCII = re.compile(r"\\u00(2[013-9a-fA-F]|[3467][0-9a-fA-F]|5[0-9abd-fABD-F])")  # not " and not \


def caller_e164(number: str) -> str | None:
    """A telephone number in E.164, read as one dialled in the United Kingdom; None if it cannot be one."""
    common = _UK_NUMBER.fullmatch(number.translate(_SEPARATORS))  # equal to the library, and 10 times faster
    if common is not None:
        return f"+44{common[1]}"
    try:
        parsed = phonenumbers.parse(number, "GB")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def begin_hmac(secret: bytes) -> hmac.HMAC:
    """The secret key made ready for `caller_key`."""
    return hmac.new(secret, digestmod="sha256")


def caller_key(number: str | None, secret: hmac.HMAC) -> tuple[str | None, MissingReason | None]:
    """What is stored in place of a caller's number.

    Args:
        number: As it was sent.
        secret: HMAC-SHA-256 begun with the secret key, as `begin_hmac` makes it; it stays as it is.

    Returns:
        HMAC-SHA-256 of its E.164 form as 64 hex digits, and None; or None, and why there is no key.
    """
    if number is None:
        return None, "withheld"
    if not number.strip():
        return None, "empty"
    if number.strip().lower() == "anonymous":
        return None, "anonymous"
    e164 = caller_e164(number)
    if e164 is None:
        return None, "unparseable"
    keyed = secret.copy()
    keyed.update(e164.encode("ascii"))
    return keyed.hexdigest(), None


def may_hold_card(flattened: bytes) -> bool:
    """Whether text may hold a card number, said fast and never wrongly denied for plain ASCII without escapes.

    Args:
        flattened: The text after `flatten_digits`.
    """
    return b"0" * _CARD_DIGITS.start in flattened


def flatten_digits(text: bytes) -> bytes:
    """The text with every ASCII digit as 0, and without spaces and hyphens; line ends stay."""
    return text.translate(_ZEROS, b" -")


_ZEROS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))


def redact_cards(text: str) -> tuple[str, int]:
    """Replace card numbers: 13 to 19 digits that pass Luhn, in one piece or in groups with spaces or dashes.

    Returns:
        The text without them, and how many there were.
    """
    found = 0

    def redact(match: re.Match[str]) -> str:
        nonlocal found
        run = match[0]
        groups = [(group.start(), group.end()) for group in _DIGIT_GROUP.finditer(run)]
        kept, position, first = [], 0, 0
        while first < len(groups):
            last = _card_from(run, groups, first)
            if last is not None:
                kept += [run[position : groups[first][0]], REDACTED_CARD]
                position, first = groups[last][1], last
                found += 1
            first += 1
        return "".join([*kept, run[position:]])

    return _CARD.sub(redact, text), found


def _card_from(run: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """Index of the last digit group of a card number that starts with group `first`, or None.

    What follows a card number may be digits too, such as its expiry date, so every end is tried, the longest first.
    """
    digits, ends = "", []
    for index in range(first, len(groups)):
        digits += run[slice(*groups[index])]
        if len(digits) in _CARD_DIGITS and _passes_luhn(digits):
            ends.append(index)
        if len(digits) >= _CARD_DIGITS.stop:
            break
    return ends[-1] if ends else None


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def redact_cards_in(value: Any) -> tuple[Any, int]:
    """A JSON value without card numbers, in texts, in names of fields or as whole numbers; and how many there were."""
    total = 0

    def redact(text: str) -> str:
        nonlocal total
        text, found = redact_cards(text)
        total += found
        return text

    def redact_integer(number: int) -> int | str:
        text = redact(str(number))
        return number if text == str(number) else text

    return _change(value, redact, redact_integer), total


def mask_in(value: Any) -> Any:
    """A JSON value with e-mail addresses and telephone numbers hidden, wherever they stand."""

    def mask_integer(number: int) -> int | str:
        return MASKED_NUMBER if _NUMBER_AS_INTEGER.fullmatch(str(abs(number))) else number

    return _change(value, mask, mask_integer)


def _change(value: Any, text: Callable[[str], str], integer: Callable[[int], int | str]) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(name): _change(inner, text, integer) for name, inner in value.items()}
    if isinstance(value, list):
        return [_change(inner, text, integer) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return integer(value)
    return value


def mask(text: str) -> str:
    """Hide card numbers, e-mail addresses, and whatever could be a telephone number (7 digits or more)."""
    return _mask_with(_PERSONAL, text)


def mask_file_name(name: str) -> str:
    """Hide the same in the name of a file, where 8 digits are a date."""
    return _mask_with(_PERSONAL_IN_NAME, name)


def _mask_with(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(_masked, redact_cards(text)[0])


def _masked(match: re.Match[str]) -> str:
    if match["keep"] is not None:
        return match["keep"]
    return MASKED_NUMBER if match["number"] is not None else MASKED_EMAIL


def _personal(keep: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<keep>{keep})|(?P<email>{_EMAIL})|(?P<number>{_NUMBER})")


_PERSONAL = _personal(_KEEP)
_PERSONAL_IN_NAME = _personal(rf"{_KEEP}|(?<!\d)\d{{8}}(?!\d)")


class RawTextMask:
    """Hides personal data in a line of JSON that may be broken anywhere."""

    def __init__(self, personal: list[str], public: list[str]) -> None:
        """Prepare.

        Args:
            personal: Names of fields whose value is hidden whatever it looks like.
            public: Names of fields whose value stays whatever it looks like, but for card numbers.
        """
        self._values = re.compile(
            rf'("(?:{_one_of(personal)})"\s*:(?!\s*null\b)\s*)("(?:[^"\\]|\\.)*"?|\[[^\]]*\]?|[^,}}\]]*)',
            re.IGNORECASE | re.DOTALL,
        )
        self._pattern = _personal(rf'"(?:{_one_of(public)})"\s*:\s*"[^"\\]*"|{_KEEP}')

    def __call__(self, line: bytes, keep: int) -> str:
        """The first `keep` characters or so of a line as text that may be stored and shown, without NUL."""
        # A little more is looked at than kept, so that what the end cuts in two is hidden too.
        text = line[: keep + 512].decode("utf-8", errors="backslashreplace").replace("\x00", "\\x00")
        text = _ESCAPED_ASCII.sub(lambda match: chr(int(match[1], 16)), text)  # they could hide digits
        text = _mask_with(self._pattern, self._values.sub(rf'\1"{MASKED_VALUE}"', text))
        if len(line) > keep:
            return f"{text[:keep]} [cut: the line has {len(line)} bytes]"
        return text


def _one_of(names: list[str]) -> str:
    return "|".join(map(re.escape, names)) or "(?!)"
