"""Whatever stands in an event, and wherever: no number of a person, no secret, and one event is one line."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.properties import bounded

from sent.infra.telemetry import configure_logging, get_logger
from sent.infra.telemetry.redact import redact_field
from sent.kit.redaction import redact_number

DIGITS = "4930987654321"
_BETWEEN = st.sampled_from(("", "", " ", "-", "/", ") ", " ("))


@st.composite
def written_numbers(draw):
    """As people, carriers and phones write them."""
    first, rest = DIGITS[:2], DIGITS[2:]
    cuts = sorted(draw(st.sets(st.integers(1, len(rest) - 1), max_size=3)))
    groups = [rest[a:b] for a, b in zip([0, *cuts], [*cuts, len(rest)], strict=True)]
    number = "".join(group + draw(_BETWEEN) for group in groups).rstrip(" (-/)")
    return draw(st.sampled_from(("+" + first + " ", "+" + first, "00" + first, "0"))) + number


around = st.sampled_from(
    ("{}", "call to {}", "<sip:{}@192.0.2.1>", "tel:{};x=1", "number={}", '"{}"', "x\n{}\r\ny", "({})")
)
wrapped = st.sampled_from(
    (
        lambda text: text,
        lambda text: [text],
        lambda text: {"deep": {"er": (text,)}},
        lambda text: {text: 1},
        ValueError,
        lambda text: [{"a": [ValueError(text)]}],
    )
)
names = st.sampled_from(("error", "caller", "to", "why", "words", "detail", "event", "exception", "party"))


def _leaks(shown: object) -> bool:
    """Four digits of it in a row are more than the two that may be shown."""
    digits = "".join(character for character in str(shown) if character.isdigit())
    return any(DIGITS[at : at + 5] in digits for at in range(2, len(DIGITS) - 5))


@bounded
@given(names, written_numbers(), around, wrapped)
def test_a_number_in_any_field_and_form_is_not_written(name, number, text, wrap):
    shown = redact_field(name, wrap(text.format(number)))
    assert not _leaks(shown), shown


@bounded
@given(written_numbers())
def test_a_field_of_a_number_shows_its_end_only(number):
    shown = redact_number(number)
    assert not _leaks(shown)
    assert shown.endswith("…21")


@pytest.fixture
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


HOSTILE = "Bob\n2026-01-01T00:00:00Z [error] forged\r\x1b[2J\x9b1mx\u2028y\u202egnp"


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_outside_begins_a_line_or_moves_the_cursor(as_json):
    stream = io.StringIO()
    configure_logging(json=as_json, stream=stream)
    get_logger("sip").info("call.started", agent=HOSTILE, branch=HOSTILE, to=HOSTILE, nested={HOSTILE: [HOSTILE]})
    get_logger("sip").info(HOSTILE)
    logging.getLogger("other").warning("from %s", HOSTILE)
    text = stream.getvalue()
    assert len(text.splitlines()) == text.count("\n") == 3
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text.replace("\n", ""))
    assert not {"\u2028", "\u202e"} & set(text)
    if as_json:
        assert [json.loads(line)["level"] for line in text.splitlines()] == ["info", "info", "warning"]


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_cannot_forge_a_line(as_json):
    stream = io.StringIO()
    configure_logging(json=as_json, stream=stream)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        get_logger("sip").exception("sip.failed")
    text = stream.getvalue()
    assert "ValueError" in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]
    assert "\x1b" not in text


def test_what_a_stranger_sends_makes_no_long_line():
    assert len(str(redact_field("branch", "x" * 100_000))) < 300
    assert len(str(redact_field("caller", "x" * 100_000))) < 300
    assert redact_field("call_ids", ["a", "b"]) == ["a", "b"]
