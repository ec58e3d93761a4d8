import pytest
from hypothesis import given
from hypothesis import strategies as st

from sent.kit.redaction import redact_number, redact_text


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+4930123456", "+…56"), ("030123456", "…56"), ("101", "101"), ("alice", "alice"), ("+49301", "+…01")],
)
def test_a_number_shows_its_last_two_digits(number, shown):
    assert redact_number(number) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("calling +49 30 123456 now", "calling +…56 now"),
        ("sip:+4930123456@example.org;user=phone", "sip:+…56@example.org;user=phone"),
        ("tel:030-123-456", "tel:…56"),
        ("sip:101@192.0.2.1:15060", "sip:101@192.0.2.1:15060"),
        ("sip:030123456;phone-context=x@host", "sip:…56;phone-context=x@host"),
        ("sip:192.0.2.10:5060;transport=udp", "sip:192.0.2.10:5060;transport=udp"),
        ("0301234567: no answer, 030-1234567 neither", "…67: no answer, …67 neither"),
        ("dialled 0301234567.", "dialled …67."),
        ("port 15060 is taken, 123456 bytes", "port 15060 is taken, 123456 bytes"),
        ("id 01975f2e-1234-7abc-8def-012345678901", "id 01975f2e-1234-7abc-8def-012345678901"),
        ("took 0.1234567 s from 10.0.0.1", "took 0.1234567 s from 10.0.0.1"),
        ("Authorization: Digest username=x, response=abc\r\nVia: y", "Authorization: [hidden]\r\nVia: y"),
        ("Proxy-Authorization: Digest z", "Proxy-Authorization: [hidden]"),
        ("Bearer abc.def.ghi failed", "Bearer [hidden] failed"),
        ("password=hunter2 user=x", "password=[hidden] user=x"),
        ('{"api_key": "abcdef", "a": 1}', '{"api_key": "[hidden]", "a": 1}'),
        ("postgresql://sent:geheim@db/sent", "postgresql://sent:[hidden]@db/sent"),
        ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20",
         "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[hidden]"),
    ],
)  # fmt: skip
def test_free_text_loses_numbers_and_secrets_only(text, shown):
    assert redact_text(text) == shown


@given(
    number=st.integers(10**6, 10**15).map("+{}".format),
    before=st.sampled_from(["", "to ", "sip:", "<tel:", '"', "From: Bob <sip:", "caller=", "("]),
    after=st.sampled_from(["", " failed", "@example.org", ">", '"', ";user=phone", ")", ".", ", 2 legs"]),
)
def test_no_whole_number_stays(number, before, after):
    shown = redact_text(before + number + after)
    assert number[1:] not in shown
    assert number[-2:] in shown


@given(st.text(max_size=300))
def test_any_text_can_be_shown(text):
    redact_text(text)


def test_a_message_loses_its_body_and_keeps_its_headers():
    message = "MESSAGE sip:101@a SIP/2.0\r\nCall-ID: x\r\n\r\nsee you at eight"
    assert redact_text(message) == "MESSAGE sip:101@a SIP/2.0\r\nCall-ID: x [body hidden, 16 characters]"


def test_text_with_a_blank_line_that_is_no_message_stays():
    assert redact_text("Traceback\n\nline") == "Traceback\n\nline"
