import io
import json
import logging
import warnings

import pytest

from sent.infra.telemetry import configure_logging, get_logger
from sent.infra.telemetry.redact import redact_field


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("password", "x", "[hidden]"),
        ("sip_secret", b"x", "[hidden]"),
        ("api_token", "x", "[hidden]"),
        ("Proxy-Authorization", "Digest …", "[hidden]"),
        ("data_key", b"x" * 32, "[hidden]"),
        ("sealed_key", b"x", "[hidden]"),
        ("key", "x", "[hidden]"),
        ("database_dsn", "postgresql://…", "[hidden]"),
        ("keyboard", "x", "x"),
        ("key_id", 7, 7),
        ("body", "see you", "[hidden, 7 long]"),
        ("sdp", "v=0", "[hidden, 3 long]"),
        ("caller", "+4930123456", "+…56"),
        ("dialed", 4930123456, "…56"),
        ("numbers", ["+4930123456", "101"], ["+…56", "101"]),
        ("sip_call_id", "123456789@host", "123456789@host"),
        ("trunk_id", 12345678, 12345678),
        ("octets", 123456789, 123456789),
        ("raw", b"\x00\x01", "[2 octets]"),
        ("error", "no route to sip:+4930123456@x", "no route to sip:+…56@x"),
        ("request", {"to": "+4930123456", "headers": {"Authorization": "Digest …"}, "n": 1},
         {"to": "+…56", "headers": {"Authorization": "[hidden]"}, "n": 1}),
        ("ok", True, True),
        ("token", None, None),
    ],
)  # fmt: skip
def test_a_field_by_its_name(name, value, shown):
    assert redact_field(name, value) == shown


def test_a_long_value_is_cut():
    shown = redact_field("header", "x" * 100_000)
    assert len(shown) < 17_000
    assert shown.endswith("[and 83616 characters more]")


def test_a_loop_in_the_data_ends():
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert "[too deep]" in str(redact_field("x", loop)) or "{}" in str(redact_field("x", loop))


@pytest.fixture
def written():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_our_events_are_one_json_line_each_and_redacted(written):
    get_logger("sent.test").info("trunk.refused", caller="+4930123456", password="geheim", trunk_id="t1")
    (line,) = written()
    assert line["event"] == "trunk.refused"
    assert (line["level"], line["logger"], line["trunk_id"]) == ("info", "sent.test", "t1")
    assert (line["caller"], line["password"]) == ("+…56", "[hidden]")
    assert line["timestamp"].endswith("Z")


def test_the_standard_library_goes_through_the_same_pipe(written):
    logging.getLogger("some.library").warning("cannot reach %s with %s", "sip:+4930123456@x", "token=abcdef")
    (line,) = written()
    assert line["event"] == "cannot reach sip:+…56@x with token=[hidden]"
    assert line["level"] == "warning"


def test_an_exception_is_redacted_too(written):
    try:
        raise ValueError("Authorization: Digest username=101")
    except ValueError:
        get_logger("sent.test").exception("it.failed")
    (line,) = written()
    assert "ValueError" in line["exception"]
    assert "username=101" not in line["exception"]


def test_warnings_are_routed_in(written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old for +4930123456", stacklevel=1)
    (line,) = written()
    assert "old for +…56" in line["event"]


def test_below_the_level_nothing_is_written(written):
    get_logger("sent.test").debug("noise")
    logging.getLogger("x").debug("noise")
    assert written() == []


def test_the_console_form_is_redacted_as_well():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(json=False, stream=stream)
    get_logger("sent.test").warning("call.failed", callee="+4930123456")
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    assert "+…56" in stream.getvalue()
    assert "4930123456" not in stream.getvalue()
