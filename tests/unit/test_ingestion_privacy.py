"""Callers' numbers, card numbers and e-mail addresses: what becomes of them in every form."""

from __future__ import annotations

import hmac
import json

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.lines import Lines
from ingestion.privacy import (
    MASKED_NUMBER,
    REDACTED_CARD,
    CardWatch,
    RawTextMask,
    caller_e164,
    caller_key,
    mask,
    mask_in,
    redact_cards,
    redact_cards_in,
    reference_key,
    reference_keys,
)

KEY = b"a secret of this test"
SECRET = KEY
CARD = "4111111111111111"


def library_e164(number: str) -> str | None:
    """What the library alone says."""
    try:
        parsed = phonenumbers.parse(number, "GB")
    except phonenumbers.NumberParseException:
        return None
    return (
        phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        if phonenumbers.is_possible_number(parsed)
        else None
    )


@pytest.mark.parametrize("form", ["07700 900123", "+447700900123", "0044 7700 900123", "tel:+44-7700-900123"])
def test_every_way_to_write_a_number_gives_one_key(form: str) -> None:
    assert caller_key(form, SECRET) == (hmac.digest(KEY, b"+447700900123", "sha256").hex(), None)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (None, "withheld"),
        ("anonymous", "anonymous"),
        (" Anonymous ", "anonymous"),
        ("", "empty"),
        ("  \t", "empty"),
        ("unknown", "unparseable"),
        ("12", "unparseable"),
        ("+44", "unparseable"),
        ("😀", "unparseable"),
    ],
)
def test_no_key_says_why(number: str | None, reason: str) -> None:
    assert caller_key(number, SECRET) == (None, reason)


def test_another_secret_gives_another_key() -> None:
    assert caller_key("07700900123", SECRET) != caller_key("07700900123", b"another")


_DIGITS = st.text("0123456789", min_size=3, max_size=14)
_PREFIXES = st.sampled_from(
    ["", "0", "+44", "0044", "tel:+44", "tel:0", "tel:", "+440", "+44 (0)", "+1", "0033", "00"]
)


@settings(max_examples=600)
@given(
    prefix=_PREFIXES,
    digits=_DIGITS,
    gaps=st.lists(st.tuples(st.integers(0, 14), st.sampled_from(" -")), max_size=5),
)
@example(prefix="tel:+44", digits="7700900123", gaps=[(0, "-"), (4, "-")])
@example(prefix="0", digits="1632960001", gaps=[(0, " ")])
def test_fast_path_for_numbers_equals_the_library(
    prefix: str, digits: str, gaps: list[tuple[int, str]]
) -> None:
    for place, gap in gaps:
        digits = digits[:place] + gap + digits[place:]
    number = prefix + digits
    assert caller_e164(number) == library_e164(number)


@settings(max_examples=200)
@given(st.text(max_size=20))
def test_any_text_is_a_number_only_if_the_library_says_so(text: str) -> None:
    assert caller_e164(text) == library_e164(text)


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111 1111 1111 1111 12/28",
        "4111 1111 1111 1111 1228",
        "card 4111\u00a01111\u00a01111\u00a01111 please",
        "4111\u20131111\u20131111\u20131111",
        "4111 - 1111 - 1111 - 1111",
        "4111   1111   1111   1111",
        "4111  -  1111  -  1111  -  1111",
        "4 1 1 1 - 1 1 1 1 - 1 1 1 1 - 1 1 1 1",
        "4111\t1111\t1111\t1111",
        "\uff14111111111111111",
        "378282246310005",
        "4222222222222",
        "6304000000000000000",
        "call 07700 900123 4111111111111111",
    ],
)
def test_card_numbers_are_removed(text: str) -> None:
    cleaned, found = redact_cards(text)
    assert found == 1
    assert REDACTED_CARD in cleaned
    assert not any(
        part in cleaned
        for part in (
            "1111 1111",
            "1111 - ",
            "1111  ",
            "1 1",
            "1111\t",
            "11111111",
            "82246",
            "22222222",
            "00000000",
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "4111      1111      1111      1111",
        "2026-03-02T09:00:00Z",
        "+441632960001",
        "123456789012",
        "41111111111111111111",
        "",
    ],
)
def test_what_is_no_card_number_stays(text: str) -> None:
    assert redact_cards(text) == (text, 0)


def test_text_around_a_card_number_stays() -> None:
    assert redact_cards(f"a {CARD}, b 5555-5555-5555-4444!") == (f"a {REDACTED_CARD}, b {REDACTED_CARD}!", 2)


def test_card_numbers_are_removed_wherever_they_stand_in_json() -> None:
    value = {"a": [CARD, {CARD: int(CARD)}], "b": True, "c": 4.5, "d": None, "e": 17}
    cleaned, found = redact_cards_in(value)
    assert found == 3
    assert CARD not in json.dumps(cleaned)
    assert cleaned["b"] is True and cleaned["c"] == 4.5 and cleaned["d"] is None and cleaned["e"] == 17


@settings(max_examples=300)
@given(st.text("0123456789- \t\x0b\x1f\n", max_size=60))
def test_fast_look_for_cards_never_overlooks_one(text: str) -> None:
    lines = text.split("\n")
    suspected = {index for index, line in enumerate(lines) if redact_cards(line)[1]}
    assert CardWatch(Lines(text.encode())).suspected == suspected


@pytest.mark.parametrize(
    "text",
    [
        "07700 900123",
        "+447700900123",
        "(0121) 496 0000",
        "0044-7700-900123",
        "tel:+44.7700.900123",
        "\uff17\uff17\uff10\uff10\uff19\uff10\uff10\uff11\uff12\uff13",
    ],
)
def test_telephone_numbers_are_masked(text: str) -> None:
    masked = mask(f"ring {text} now")
    assert masked.startswith("ring ") and masked.endswith(" now") and MASKED_NUMBER in masked
    assert not any(digit in masked for digit in "0123456789\uff10\uff17\uff19")


def test_email_addresses_are_masked() -> None:
    assert mask("from Amy.O-Neil+x@example.co.uk, thanks") == "from [e-mail masked], thanks"


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T09:00:40.500Z",
        "2026-03-02T09:00:40+01:00",
        "2026-03-02 09:00:40",
        "35bf992d-9916-6161-6127-769612345678",
    ],
)
def test_timestamps_and_identifiers_stay_readable(text: str) -> None:
    assert mask(f"at {text} there") == f"at {text} there"


def test_numbers_as_integers_are_masked_and_times_stay() -> None:
    value = {
        "number": 447700900123,
        "national": 7700900123,
        "seconds": 1772442000,
        "ms": 1772442000123,
        "n": 5,
    }
    assert mask_in(value) == {**value, "number": MASKED_NUMBER, "national": MASKED_NUMBER}


MASK = RawTextMask(personal=["caller_number"], public=["call_id", "dialled_number"])


@pytest.mark.parametrize(
    "line",
    [
        b'{"caller_number": "07700 900123", "x": 1}',
        b'{"caller_number": "Amy Smith"}',
        b'{"caller_number": "07700 900123',
        b'{"CALLER_NUMBER" : 447700900123}',
        b'{"caller_number": ["07700 900123"]}',
        b'{"caller_number": "\\u0030\\u0037700 900123"}',
        b'{"c\\u0061ller_number": "Amy Smith"}',
        b'{"note": "\\u0030\\u0037\\u0037\\u0030\\u0030 \\u0039\\u0030\\u0030\\u0031\\u0032\\u0033"}',
        b"not json 07700 900123",
        b'{"note": "amy.smith\\u0040example.com"}',
        b"\xff\xfe 07700900123 amy.smith@example.com",
        b'{"caller_number": "Amy \\" Smith"}',
    ],
)
def test_raw_text_of_a_broken_line_holds_no_personal_data(line: bytes) -> None:
    text = MASK(line, 4_000)
    assert not any(canary in text for canary in ("900123", "7700", "Amy", "Smith", "amy.smith", "example"))


def test_raw_text_keeps_what_finds_the_call() -> None:
    line = b'{"call_id": "c-20260302-000017", "dialled_number": "+441632960001", "caller_number": null}'
    assert MASK(line, 4_000) == line.decode()


def test_raw_text_is_cut_without_showing_what_the_cut_divides() -> None:
    line = b'{"note": "' + b"x" * 70 + b' amy.smith@example.com"}' + b"y" * 5_000_000
    text = MASK(line, 90)
    assert "amy" not in text and text.endswith(f"[cut: the line has {len(line)} bytes]") and len(text) < 200


def test_raw_text_of_one_endless_word_takes_no_time() -> None:
    assert MASK(b"a" * 20_000_000, 4_000).startswith("aaaa")


def test_raw_text_holds_nothing_that_cannot_be_stored() -> None:
    assert MASK(b'{"a": "\x00\xff"}', 4_000) == '{"a": "\\x00\\xff"}'


@given(secret=st.binary(min_size=1, max_size=200), reference=st.text(min_size=1, max_size=80))
def test_keys_are_those_of_the_library(secret: bytes, reference: str) -> None:
    plain = "".join(reference.split()).upper()
    expected = hmac.digest(secret, plain.encode(), "sha256").hex() if plain else None
    assert reference_key(reference, secret) == expected
    assert reference_keys([None, reference, ""], secret) == [None, expected, None]


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                "4111",
                "1111",
                " ",
                "-",
                '"',
                "a",
                "550e8400-e29b-41d4-a716-446655440000",
                "4111111111111111",
                "é",
            ]
        )
    )
)
def test_a_card_is_found_beside_whatever_stands_in_its_line(parts: list[str]) -> None:
    line = "".join(parts)
    expected = {0} if redact_cards(line)[1] else set()
    assert CardWatch(Lines(line.encode())).suspected == expected
