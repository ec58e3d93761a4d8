"""Digest: the examples of the RFCs, both sides of each algorithm, and what may not pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sent.sip.digest import (
    Challenge,
    Credentials,
    choose_challenge,
    find_credentials,
    ha1,
    make_response,
    parse_challenge,
    parse_credentials,
    verify,
)
from sent.sip.errors import LocalProtocolError, RemoteProtocolError

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def respond(challenge: Challenge, **changes: object) -> Credentials:
    arguments: dict[str, object] = {"method": "REGISTER", "uri": "sip:example.com", "username": "dev-7f3a"}
    arguments |= {"password": "zanzibar", "cnonce": "0a4f113b", "nc": 1} | changes
    return make_response(challenge, **arguments)  # type: ignore[arg-type]


class TestExamples:
    """RFC 7616 §3.9.1, RFC 2617 §3.5, RFC 2069 (with its erratum)."""

    @pytest.mark.parametrize(
        ("algorithm", "response"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_rfc7616(self, algorithm: str, response: str) -> None:
        challenge = Challenge("http-auth@example.org", NONCE, algorithm, ("auth", "auth-int"), OPAQUE)
        credentials = make_response(
            challenge,
            method="GET",
            uri="/dir/index.html",
            username="Mufasa",
            password="Circle of Life",
            cnonce=CNONCE,
        )
        assert credentials.response == response

    def test_rfc2617(self) -> None:
        text = (
            'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", '
            'response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        )
        credentials = parse_credentials(text)
        assert credentials is not None
        assert credentials.algorithm == "MD5"
        secret = ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
        assert verify(credentials, method="GET", ha1_hex=secret)

    def test_rfc2069(self) -> None:
        challenge = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop=())
        credentials = make_response(
            challenge, method="GET", uri="/dir/index.html", username="Mufasa", password="CircleOfLife", cnonce="x"
        )
        assert credentials.response == "1949323746fe6a43ef61f9606e7febea"
        assert "qop" not in str(credentials)
        assert "cnonce" not in str(credentials)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
@pytest.mark.parametrize("qop", [("auth",), ("auth-int",), ()])
def test_both_sides_agree_and_survive_the_wire(algorithm: str, qop: tuple[str, ...]) -> None:
    challenge = Challenge('exa"mple\\com', "n", algorithm, qop, opaque="o")
    assert parse_challenge(str(challenge)) == challenge
    credentials = respond(challenge, body=b"v=0", nc=0x1F)
    again = parse_credentials(str(credentials))
    assert again == credentials
    base = algorithm.removesuffix("-sess")
    secret = ha1("dev-7f3a", challenge.realm, "zanzibar", base)
    good = {"method": "REGISTER", "ha1_hex": secret, "algorithm": base, "body": b"v=0"}
    assert verify(again, **good)  # type: ignore[arg-type]
    assert not verify(again, **(good | {"method": "INVITE"}))  # type: ignore[arg-type]
    wrong = ha1("dev-7f3a", challenge.realm, "Zanzibar", base)
    assert not verify(again, **(good | {"ha1_hex": wrong}))  # type: ignore[arg-type]
    assert verify(again, **(good | {"body": b"v=1"})) is (qop != ("auth-int",))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", ["nonce", "uri", "cnonce", "response"])
def test_each_part_is_covered(change: str) -> None:
    credentials = respond(Challenge("r", "n"))
    secret = ha1("dev-7f3a", "r", "zanzibar")
    assert verify(credentials, method="REGISTER", ha1_hex=secret)
    altered = replace(credentials, **{change: "altered-é"})  # type: ignore[arg-type]
    assert not verify(altered, method="REGISTER", ha1_hex=secret)
    assert not verify(replace(credentials, nc=2), method="REGISTER", ha1_hex=secret)


def test_nobody_talks_us_down_to_another_algorithm() -> None:
    credentials = respond(Challenge("r", "n", "MD5"))
    secret = ha1("dev-7f3a", "r", "zanzibar", "MD5")
    assert not verify(credentials, method="REGISTER", ha1_hex=secret, algorithm="SHA-256")
    assert not verify(replace(credentials, algorithm="SHA-512"), method="REGISTER", ha1_hex=secret)
    assert not verify(replace(credentials, qop="none"), method="REGISTER", ha1_hex=secret)


def test_a_stored_hash_does_what_the_password_does() -> None:
    challenge = Challenge("r", "n")
    with_hash = respond(challenge, password=None, ha1_hex=ha1("dev-7f3a", "r", "zanzibar"))
    assert with_hash == respond(challenge)


def test_the_client_takes_the_first_challenge_that_it_can_answer() -> None:
    values = [
        'NoOneKnows realm="a", nonce="b"',
        'Digest realm="broken"',
        'Digest realm="r", nonce="1", algorithm=SHA-512-256, qop="auth"',
        'Digest realm="r", nonce="2", algorithm=sha-256, qop="auth,auth-int", stale=TRUE',
        'Digest realm="r", nonce="3", algorithm=MD5, qop="auth"',
    ]
    chosen = choose_challenge(values)
    assert chosen == Challenge("r", "2", "SHA-256", ("auth", "auth-int"), stale=True)
    assert choose_challenge(values[:3]) is None
    with pytest.raises(LocalProtocolError):
        respond(Challenge("r", "n", "SHA-512-256"))


def test_credentials_are_found_by_realm() -> None:
    values = [str(respond(Challenge("proxy", "1"))), str(respond(Challenge("home", "2")))]
    found = find_credentials(values, "home")
    assert found is not None
    assert found.nonce == "2"
    assert find_credentials(values, "elsewhere") is None


@pytest.mark.parametrize(
    "text",
    [
        'Digest username="u", realm="r", nonce="n", uri="sip:a"',
        'Digest username="u", realm="r", nonce="n", uri="sip:a", response="x", qop=auth',
        'Digest username="u", realm="r", nonce="n", uri="sip:a", response="x", qop=auth, nc=1, cnonce="c"',
        'Digest username="u", realm="r", nonce="n", uri="sip:a", response="x", qop=auth, nc=0000000g, cnonce="c"',
        'Digest username="u", username="v", realm="r", nonce="n", uri="sip:a", response="x"',
        'Digest username="u, realm="r", nonce="n", uri="sip:a", response="x"',
        "Digest ===",
    ],
)
def test_malformed_credentials_are_the_peers_error(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_credentials(text)


def test_the_response_stays_out_of_logs() -> None:
    credentials = respond(Challenge("r", "n"))
    assert credentials.response not in repr(credentials)
