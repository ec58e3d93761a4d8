"""Every command against a migrated database, as somebody types it: what it says, and what it says when it cannot."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.integration.app_world import environment_of, settings_for

from sent.cli.main import main

pytestmark = pytest.mark.database


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


Sent = Callable[..., Said]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def sent(data_dir: Path, owner_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sent:
    for name, value in environment_of(settings_for(data_dir, owner_dsn)).items():
        monkeypatch.setenv(name, value)

    def run(*words: str, typed: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(words)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def acme(sent: Sent) -> list[str]:
    """An organization of the test's own with Alice at 101; the option that names it."""
    slug = f"acme-{next(_numbers)}"
    assert sent("organization", "add", "Acme", "--slug", slug, "--region", "US").code == 0
    named = ["--organization", slug]
    assert sent("user", "add", "Alice", "--extension", "101", *named).code == 0
    return named


def refused(said: Said, code: str) -> str:
    """One sentence on standard error, nothing on standard output."""
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("sent: ")
    assert said.err.endswith(f"[{code}]\n"), said.err
    assert said.err.count("\n") == 1
    return said.err


# -- organizations --------------------------------------------------------------------------------------------------


def test_without_an_organization_each_command_says_how_to_make_one(sent: Sent, owner_dsn: str):
    with psycopg.connect(owner_dsn) as connection:
        row = connection.execute("SELECT count(*) FROM sent.organizations").fetchone()
    assert row == (0,), "this test must be the first of its module"
    assert "sent organization add" in refused(sent("user", "list"), "organization.none")
    assert "There is no organization yet" in sent("organization", "list").out


def test_an_organization_gets_its_short_name_from_its_name(sent: Sent):
    said = sent("organization", "add", "Smith & Söhne GmbH", "--region", "DE")
    assert said.code == 0
    assert "as smith-sohne-gmbh" in said.out
    assert re.search(r"smith-sohne-gmbh\s+Smith & Söhne GmbH\s+DE", sent("organization", "list").out)
    assert "smith-sohne-gmbh" in refused(sent("organization", "add", "Smith  Söhne, GmbH"), "identity.slug_taken")


def test_a_name_that_gives_no_short_name_asks_for_one(sent: Sent):
    assert sent("organization", "add", "日本").code == 1
    assert sent("organization", "add", "日本", "--slug", "nihon", "--region", "JP").code == 0


def test_with_several_organizations_one_must_be_named(sent: Sent, acme):
    sent("organization", "add", "Other")
    assert acme[1] in refused(sent("user", "list"), "organization.ambiguous")
    refused(sent("user", "list", "--organization", "nobody"), "identity.no_such_organization")


# -- people, phones, extensions -------------------------------------------------------------------------------------


def test_people_are_added_with_their_extension_and_listed(sent: Sent, acme):
    said = sent("user", "add", "Bob", "--extension", "102", "--role", "admin", *acme)
    assert said.code == 0
    assert "sent device add 102" in said.out
    listed = sent("user", "list", *acme).out
    assert re.search(r"Alice\s+member\s+101\s+0", listed)
    assert re.search(r"Bob\s+admin\s+102\s+0", listed)


@pytest.mark.parametrize(("extension", "code"), [("101", "extension.taken"), ("10a", "pbx.bad_number")])
def test_a_person_who_cannot_get_the_extension_is_not_added_at_all(sent: Sent, acme, extension, code):
    refused(sent("user", "add", "Carol", "--extension", extension, *acme), code)
    assert "Carol" not in sent("user", "list", *acme).out
    assert re.search(r"101\s+user\s+Alice", sent("extension", "list", *acme).out)


def test_a_phone_is_added_shown_again_and_reset(sent: Sent, acme):
    made = json.loads(sent("device", "add", "101", "--name", "Desk", "--json", *acme).out)
    assert made["name"] == "Desk"
    shown = json.loads(sent("device", "show", made["user_name"], "--json", *acme).out)
    assert shown == made
    text = sent("device", "show", made["user_name"], *acme).out
    assert made["user_name"] in text
    assert made["password"] in text
    reset = json.loads(sent("device", "reset", made["user_name"], "--json", *acme).out)
    assert reset["password"] != made["password"]
    assert json.loads(sent("device", "show", made["user_name"], "--json", *acme).out) == reset
    listed = sent("device", "list", *acme).out
    assert re.search(rf"{made['user_name']}\s+Desk\s+Alice", listed)
    assert reset["password"] not in listed


def test_a_person_is_found_by_name_in_any_case(sent: Sent, acme):
    assert sent("device", "add", "aLiCe", *acme).code == 0
    assert "sent user list" in refused(sent("device", "add", "Mallory", *acme), "user.not_found")
    refused(sent("device", "show", "nobody", *acme), "device.not_found")


def test_extensions_are_set_changed_and_removed(sent: Sent, acme):
    assert sent("extension", "add", "600", "--echo", "--name", "Echo", *acme).code == 0
    assert sent("extension", "add", "600", "--announcement", "welcome", *acme).code == 0
    assert sent("extension", "add", "111", "--user", "alice", *acme).code == 0
    listed = sent("extension", "list", *acme).out
    assert re.search(r"600\s+announcement\s+welcome", listed)
    assert re.search(r"111\s+user\s+Alice", listed)
    assert sent("extension", "remove", "600", *acme).code == 0
    assert "600" not in sent("extension", "list", *acme).out
    refused(sent("extension", "remove", "600", *acme), "pbx.no_such_extension")
    refused(sent("extension", "add", "6 0", "--echo", *acme), "pbx.bad_number")


def test_an_extension_does_one_thing(sent: Sent):
    with pytest.raises(SystemExit) as usage:
        sent("extension", "add", "600", "--echo", "--announcement", "welcome")
    assert usage.value.code == 2


# -- carriers -------------------------------------------------------------------------------------------------------

CARRIER = ("trunk", "add", "Nordnet", "sip.nordnet.example", "--user", "4930555")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here that could say something of a new carrier."""
    monkeypatch.setattr("sent.cli.trunk._VALIDATE_SECONDS", 0.0)


@pytest.mark.usefixtures("hurried")
def test_a_carrier_is_added_listed_limited_and_removed(sent: Sent, acme):
    said = sent(*CARRIER, "--number", "+12025550190", "--rings", "101", *acme, typed="s3cret\n")
    assert said.code == 0
    assert "when SENT runs" in said.out
    assert "s3cret" not in said.out + said.err
    listed = sent("trunk", "list", *acme).out
    assert re.search(r"Nordnet\s+register\s+sip\.nordnet\.example\s+\+12025550190 → 101\s+unknown", listed)
    assert "10 at once, 30/min" in listed
    assert sent("trunk", "limits", "NORDNET", "--concurrent", "2", "--open", "GB", *acme).code == 0
    assert "2 at once, 30/min" in sent("trunk", "list", *acme).out
    refused(sent(*CARRIER, *acme, typed="s3cret\n"), "trunk.name_taken")
    assert sent("trunk", "remove", "nordnet", *acme).code == 0
    assert "There is no carrier yet" in sent("trunk", "list", *acme).out
    refused(sent("trunk", "remove", "nordnet", *acme), "trunk.not_found")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--number", "+12025550190", "--rings", "999"), "extension.not_found"),
        (("--number", "hello", "--rings", "101"), "trunk.bad_number"),
        (("--rings", "101"), "trunk.no_number"),
    ],
)
def test_a_carrier_whose_number_leads_nowhere_is_not_stored(sent: Sent, acme, words, code):
    refused(sent(*CARRIER, *words, *acme, typed="s3cret\n"), code)
    assert "Nordnet" not in sent("trunk", "list", *acme).out


def test_a_carrier_needs_a_password_or_addresses(sent: Sent, acme):
    refused(sent(*CARRIER, *acme, typed="\n"), "trunk.no_credentials")
    refused(sent("trunk", "add", "Nordnet", "sip.nordnet.example", *acme), "trunk.no_sources")
    refused(sent("trunk", "add", "N", "sip.nordnet.example", "--source", "0.0.0.0/0", *acme), "trunk.wide_source")


@pytest.mark.usefixtures("hurried")
def test_a_number_is_pointed_to_an_extension(sent: Sent, acme):
    sent(*CARRIER, *acme, typed="s3cret\n")
    said = sent("number", "add", "nordnet", "(202) 555-0191", "101", *acme)
    assert said.out == "Calls to +12025550191 ring 101.\n"
    refused(sent("number", "add", "nordnet", "+12025550191", "999", *acme), "extension.not_found")
    refused(sent("number", "add", "nobody", "+12025550191", "101", *acme), "trunk.not_found")


# -- calls and recordings -------------------------------------------------------------------------------------------


def test_where_there_is_nothing_yet_it_is_said(sent: Sent, acme):
    assert "sent dial 600" in sent("calls", *acme).out
    assert sent("calls", "--live", *acme).out == "There are no such calls.\n"
    assert sent("calls", "show", *acme).out == "There are no calls yet.\n"
    assert sent("calls", "--json", *acme).out == "[]\n"
    assert sent("recordings", "list", *acme).out == "Nothing was recorded yet.\n"


def test_a_call_that_is_not_there_is_named(sent: Sent, acme):
    for action in ("show", "hangup"):
        refused(sent("calls", action, "abcd1234", *acme), "calls.no_such_call")
        refused(sent("calls", action, "xyz", *acme), "calls.bad_id")
    assert "sent calls --live" in refused(sent("calls", "hangup", *acme), "calls.no_id")
    refused(sent("calls", "--limit", "0", *acme), "calls.bad_limit")
    refused(sent("recordings", "export", "abcd1234", *acme), "recording.not_found")


def test_help_names_what_calls_can_do(sent: Sent, capsys):
    with pytest.raises(SystemExit) as usage:
        sent("calls", "--help")
    assert usage.value.code == 0
    assert "{list,show,hangup}" in capsys.readouterr().out


# -- audit, dial ----------------------------------------------------------------------------------------------------


def test_the_audit_log_is_sealed_and_proved_whole(sent: Sent, acme, data_dir: Path):
    assert "blocks." in sent("audit", "seal").out
    said = sent("audit", "verify")
    assert said.code == 0
    assert "The audit log is whole." in said.out
    public = next(data_dir.glob("audit.key*.pub"), None) or next(data_dir.glob("audit*.pub"))
    assert sent("audit", "verify", "--key", str(public)).code == 0
    refused(sent("audit", "verify", "--key", str(data_dir / "master.key")), "audit.key_bad")


def test_dial_says_what_it_lacks(sent: Sent, acme, tmp_path: Path):
    assert "sent device add" in refused(sent("dial", "600", *acme), "softphone.no_device")
    refused(sent("dial", "600", "--digits", "1x", *acme), "softphone.bad_digits")
    refused(sent("dial", "600", "--server", "192.0.2.1:5060"), "softphone.no_user")
    refused(sent("dial", "600", "--server", "192.0.2.1", "--user", "a"), "softphone.bad_server")
    sent("device", "add", "101", *acme)
    refused(sent("dial", "600", "--play", str(tmp_path / "none.wav"), *acme), "softphone.bad_file")
    nowhere = ("dial", "600", "--server", "nowhere.invalid:5060", "--user", "a")
    refused(sent(*nowhere, typed="secret\n"), "softphone.no_such_host")


def test_a_changed_audit_row_is_found(sent: Sent, acme, owner_dsn: str):
    """The last of this module: the log is not whole after it."""
    sent("audit", "seal")
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE sent.audit DISABLE TRIGGER USER")
        connection.execute("UPDATE sent.audit SET actor = 'cli:mallory' WHERE seq = (SELECT min(seq) FROM sent.audit)")
    said = sent("audit", "verify")
    assert said.code == 1
    assert "NOT WHOLE" in said.out


# -- what stops and what ends -----------------------------------------------------------------------------------------


def test_a_lost_phone_is_stopped_and_let_work_again(sent: Sent, acme: list[str]):
    phone = json.loads(sent("device", "add", "101", "--json", *acme).out)["user_name"]
    assert sent("device", "disable", phone, *acme).out == f"Phone ({phone}) is disabled.\n"
    assert re.search(rf"{phone}\s+Phone\s+Alice\s+disabled", sent("device", "list", *acme).out)
    assert sent("device", "enable", phone, *acme).code == 0
    assert "disabled" not in sent("device", "list", *acme).out


def test_a_person_is_disabled_but_not_the_last_owner(sent: Sent, acme: list[str]):
    sent("user", "add", "Olga", "--role", "owner", *acme)
    assert sent("user", "disable", "101", *acme).out == "Alice is disabled.\n"
    assert re.search(r"Alice\s+member\s+101\s+0\s+disabled", sent("user", "list", *acme).out)
    refused(sent("user", "disable", "Olga", *acme), "identity.last_owner")


def test_recordings_are_kept_for_as_long_as_is_said(sent: Sent, acme: list[str]):
    assert sent("recordings", "keep", *acme).out == "Recordings are kept for 365 days.\n"
    assert sent("recordings", "keep", "30", *acme).out == "Recordings are kept for 30 days.\n"
    assert sent("recordings", "keep", "forever", *acme).out == "Recordings are kept for ever.\n"
    refused(sent("recordings", "keep", "a week", *acme), "recording.keep_days")
    refused(sent("recordings", "keep", "0", *acme), "recording.keep_days")
