from __future__ import annotations

from sent.gateway.ladder_tap import LadderMessage, LadderTap, redacted


def message(n: int) -> LadderMessage:
    return LadderMessage(float(n), True, "UDP", "a", "b", f"m{n}")


def test_only_opened_calls_are_kept_and_each_is_bounded():
    tap = LadderTap(max_calls=2, max_messages=3)
    tap.add("scanner", message(0))
    for call in ("one", "two", "three"):
        tap.open(call)
        for n in range(5):
            tap.add(call, message(n))
    assert len(tap) == 2
    assert tap.take("one") == ([], 0)
    messages, left_out = tap.take("three")
    assert ([m.text for m in messages], left_out) == (["m0", "m1", "m2"], 2)
    assert tap.take("three") == ([], 0)


def test_credentials_and_media_keys_are_struck_out():
    text = (
        "INVITE sip:102@sent SIP/2.0\r\n"
        'Authorization: Digest username="d1",\r\n nonce="n", response="5ecre7"\r\n'
        'Proxy-Authorization: Digest response="5ecre7"\r\n'
        "CSeq: 1 INVITE\r\n\r\n"
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7KEY|2^20\r\n"
    )
    shown = redacted(text)
    assert "5ecre7" not in shown
    assert "CSeq: 1 INVITE" in shown
    assert "Authorization: Digest …" in shown
    assert "inline:…|2^20" in shown
