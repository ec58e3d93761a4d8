from __future__ import annotations

import pytest
from tests.unit.trunks.trunk_factory import TRUNK

from sent.gateway.inbound import called_numbers, calling_party
from sent.sip.headers import Headers
from sent.sip.message import Request
from sent.sip.uri import parse_uri


def invite(*headers: tuple[str, str], uri: str = "sip:token@10.0.0.1", sender: str = "<sip:+4940123456@c>") -> Request:
    base = [("From", f"{sender};tag=1"), ("To", "<sip:030-23125002@c;user=phone>")]
    return Request("INVITE", parse_uri(uri), Headers([*base, *headers]))


def test_the_called_number_stands_in_one_of_three_places():
    request = invite(("P-Called-Party-ID", "<tel:+49-30-23125-001>"), uri="sip:+493023125000;npdi@10.0.0.1")
    assert called_numbers(request) == ["+493023125000", "+493023125001", "030-23125002"]
    assert called_numbers(invite(("P-Called-Party-ID", "<<broken"))) == ["token", "030-23125002"]


@pytest.mark.parametrize(
    ("headers", "sender", "number", "name"),
    [
        ((), '"Ann" <sip:040123456@c>', "+4940123456", "Ann"),
        ((("P-Asserted-Identity", '"Bea" <sip:+4940999999@c>'),), '"Ann" <sip:x@c>', "+4940999999", "Bea"),
        (
            (("Privacy", "id;critical"), ("P-Asserted-Identity", "<tel:+4940999999>")),
            "<sip:a@c>",
            "anonymous",
            "Anonymous",
        ),
        ((), "<sip:anonymous@anonymous.invalid>", "anonymous", "Anonymous"),
        ((), "<sip:+1@c>", "+1", ""),
        ((), '"A\x01nn" <sip:040123456@c>', "+4940123456", "Ann"),
    ],
)
def test_who_calls(headers, sender: str, number: str, name: str):
    party = calling_party(invite(*headers, sender=sender), TRUNK)
    assert (party.number, party.name, party.trunk_id) == (number, name, TRUNK.id)
