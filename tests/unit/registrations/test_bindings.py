"""RFC 3261 §10.3, RFC 5626 §6 and §7, on one in-memory store."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from sent.registrations.bindings import (
    BindingError,
    Bindings,
    ChangeKind,
    ContactWish,
    Owner,
    Registration,
)
from sent.sip.flow import Flow

ALICE = Owner(UUID(int=1), UUID(int=2), UUID(int=3))
ALICES_DESK = replace(ALICE, device_id=UUID(int=4))
BOB = Owner(UUID(int=1), UUID(int=5), UUID(int=6))
UDP = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
TLS = Flow("TLS", ("192.0.2.1", 5061), ("198.51.100.7", 50001), 7)


def store() -> Bindings:
    return Bindings(lambda a, b: a.lower() == b.lower())


def register(*contacts: ContactWish, owner: Owner = ALICE, cseq: int = 1, flow: Flow = UDP, call_id: str = "r1"):
    return Registration(owner, call_id, cseq, flow, contacts)


def contact(user: str = "alice", **more) -> ContactWish:
    return ContactWish(f"sip:{user}@10.0.0.5:5060", **more)


def test_a_binding_is_found_by_its_user_until_it_expires():
    bindings = store()
    (change,) = bindings.apply(register(contact(expires=120)), 1000.0)
    assert (change.kind, change.online) == (ChangeKind.ADDED, True)
    (found,) = bindings.of_user(ALICE.user_id, 1119.9)
    assert found.contact == "sip:alice@10.0.0.5:5060"
    assert found.flow == UDP
    assert bindings.of_user(ALICE.user_id, 1120.0) == []
    assert bindings.of_user(BOB.user_id, 1000.0) == []


def test_a_user_has_the_bindings_of_all_devices_by_q_then_newest():
    bindings = store()
    bindings.apply(register(contact("a", q=0.5)), 0.0)
    bindings.apply(register(contact("b", q=1.0), owner=ALICES_DESK, call_id="r2"), 1.0)
    bindings.apply(register(contact("c", q=0.5), call_id="r3"), 2.0)
    assert [b.contact[4] for b in bindings.of_user(ALICE.user_id, 3.0)] == ["b", "c", "a"]
    assert [b.contact[4] for b in bindings.of_device(ALICE.device_id, 3.0)] == ["c", "a"]


def test_the_same_contact_refreshes_and_keeps_one_binding():
    bindings = store()
    bindings.apply(register(contact()), 0.0)
    (change,) = bindings.apply(register(contact("ALICE"), cseq=2), 10.0)
    assert change.kind is ChangeKind.REFRESHED
    assert len(bindings) == 1


def test_an_older_or_equal_cseq_of_the_same_call_id_changes_nothing():
    bindings = store()
    bindings.apply(register(contact(), cseq=5), 0.0)
    for cseq in (5, 4):
        with pytest.raises(BindingError) as refused:
            bindings.apply(register(contact(expires=0), cseq=cseq), 1.0)
        assert refused.value.status == 400
    assert len(bindings) == 1
    bindings.apply(register(contact(expires=0), cseq=1, call_id="after-reboot"), 2.0)
    assert len(bindings) == 0


def test_too_short_an_expiry_is_423_with_min_expires_and_changes_nothing():
    bindings = store()
    with pytest.raises(BindingError) as refused:
        bindings.apply(register(contact("a"), contact("b", expires=5)), 0.0)
    assert refused.value.status == 423
    assert refused.value.headers == (("Min-Expires", "60"),)
    assert len(bindings) == 0


def test_expiry_comes_from_the_contact_then_the_header_then_the_default_and_is_cut():
    bindings = store()
    wish = replace(register(contact("a", expires=90), contact("b"), contact("c", expires=100_000)), expires=70)
    ends = {c.binding.contact[4]: c.binding.expires_at for c in bindings.apply(wish, 0.0)}
    assert ends == {"a": 90.0, "b": 70.0, "c": 3600.0}
    (change,) = bindings.apply(register(contact("d"), call_id="r9"), 0.0)
    assert change.binding.expires_at == 3600.0


def test_a_star_removes_all_and_must_stand_alone_with_expires_0():
    bindings = store()
    bindings.apply(register(contact("a"), contact("b")), 0.0)
    star = Registration(ALICE, "r1", 2, UDP, everything=True)
    for bad in (star, replace(star, expires=60), replace(star, expires=0, contacts=(contact("a"),))):
        with pytest.raises(BindingError) as refused:
            bindings.apply(bad, 1.0)
        assert refused.value.status == 400
    changes = bindings.apply(replace(star, expires=0), 1.0)
    assert [(c.kind, c.online) for c in changes] == [(ChangeKind.REMOVED, False)] * 2
    assert len(bindings) == 0


def test_a_query_changes_nothing():
    bindings = store()
    bindings.apply(register(contact()), 0.0)
    assert bindings.apply(register(), 1.0) == []
    assert len(bindings) == 1


def test_the_same_instance_and_reg_id_replace_whatever_the_contact_says():
    bindings = store()
    phone = {"instance": "<urn:uuid:1>", "reg_id": 1}
    bindings.apply(register(contact("a", **phone), flow=TLS), 0.0)
    later = replace(TLS, id=8)
    bindings.apply(register(contact("b", **phone), flow=later, call_id="r2"), 1.0)
    (only,) = bindings.of_user(ALICE.user_id, 2.0)
    assert (only.contact[4], only.flow) == ("b", later)
    second_flow = {"instance": "<urn:uuid:1>", "reg_id": 2}
    bindings.apply(register(contact("b", **second_flow), flow=UDP, call_id="r3"), 2.0)
    assert len(bindings) == 2


def test_an_eleventh_binding_of_a_device_takes_the_place_of_the_one_refreshed_longest_ago():
    bindings = store()
    for n in range(10):
        bindings.apply(register(contact(f"u{n}"), call_id=f"r{n}"), float(n))
    bindings.apply(register(contact("u0"), call_id="r0", cseq=2), 20.0)
    changes = bindings.apply(register(contact("new"), call_id="x"), 21.0)
    assert [(c.kind.value, c.binding.contact[4:6]) for c in changes] == [("added", "ne"), ("removed", "u1")]
    assert len(bindings) == 10


def test_a_closed_connection_takes_along_what_only_it_could_reach():
    bindings = store()
    bindings.apply(register(contact("nat"), flow=TLS), 0.0)
    reachable = ContactWish("sip:alice@198.51.100.7:5061;transport=tls")
    bindings.apply(register(reachable, flow=TLS, call_id="r2"), 0.0)
    bindings.apply(register(contact("bob"), owner=BOB, flow=TLS, call_id="r3"), 0.0)
    changes = bindings.flow_closed(TLS)
    assert {(c.binding.contact, c.online) for c in changes} == {
        ("sip:nat@10.0.0.5:5060", True),
        ("sip:bob@10.0.0.5:5060", False),
    }
    (kept,) = bindings.of_user(ALICE.user_id, 1.0)
    assert (kept.contact, kept.flow) == (reachable.uri, None)
    assert bindings.flow_closed(TLS) == []


def test_expire_reports_what_ran_out_once():
    bindings = store()
    bindings.apply(register(contact("a", expires=60), contact("b", expires=120)), 0.0)
    (change,) = bindings.expire(60.0)
    assert (change.kind, change.binding.contact[4], change.online) == (ChangeKind.EXPIRED, "a", True)
    assert bindings.expire(61.0) == []
    (last,) = bindings.expire(121.0)
    assert last.online is False


def test_a_forgotten_device_leaves_the_users_others():
    bindings = store()
    bindings.apply(register(contact("a")), 0.0)
    bindings.apply(register(contact("b"), owner=ALICES_DESK), 0.0)
    (change,) = bindings.forget_device(ALICE.device_id)
    assert change.online is True
    assert [b.contact[4] for b in bindings.of_user(ALICE.user_id, 1.0)] == ["b"]


def test_restored_bindings_are_found_and_never_overwrite_newer_ones():
    old = store()
    (before,) = old.apply(register(contact("a", expires=60)), 0.0)
    bindings = store()
    bindings.restore([before.binding])
    assert [b.contact[4] for b in bindings.of_user(ALICE.user_id, 59.0)] == ["a"]
    bindings.apply(register(contact("a", expires=600), call_id="r2"), 10.0)
    bindings.restore([before.binding])
    (only,) = bindings.of_user(ALICE.user_id, 100.0)
    assert only.expires_at == 610.0
