"""`sent doctor` on this machine: what it finds, in order, and that it says what is wrong instead of failing."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from tests.integration.app_world import environment_of, settings_for, taken

from sent.app.doctor.checkup import check_all
from sent.app.doctor.finding import Verdict
from sent.app.instance import only_server
from sent.cli.main import main

pytestmark = [pytest.mark.database, pytest.mark.engine]


async def test_a_machine_that_is_well_is_said_to_be(tmp_path, owner_dsn):
    findings = await check_all(settings_for(tmp_path, owner_dsn))
    assert [f.subject for f in findings if f.verdict is Verdict.BROKEN] == []
    subjects = [f.subject for f in findings]
    assert subjects[:5] == ["database", "SIP over UDP", "SIP over TCP", "SIP over TLS", "HTTP"]
    assert {"audio ports", "media address", "codecs", "clock", "certificate", "disk", "open files"} <= set(subjects)
    said = {f.subject: f.words for f in findings}
    assert said["database"].startswith("external PostgreSQL ")
    assert said["codecs"] == "a tone went through opus, PCMU, PCMA and was heard"


async def test_a_database_that_is_away_is_broken_and_the_rest_is_checked_all_the_same(tmp_path):
    findings = await check_all(settings_for(tmp_path, "postgresql://sent@127.0.0.1:1/sent?connect_timeout=2"))
    assert findings[0].subject == "database"
    assert findings[0].verdict is Verdict.BROKEN
    assert "does not answer" in findings[0].words
    assert len(findings) > 8


async def test_a_port_of_the_server_that_runs_is_good_and_of_another_program_is_not(tmp_path, owner_dsn):
    settings = settings_for(tmp_path, owner_dsn)
    with taken(settings.sip_port, socket.SOCK_DGRAM):
        found = {f.subject: f for f in await check_all(settings)}
        assert found["SIP over UDP"].verdict is Verdict.BROKEN
        assert "another program" in found["SIP over UDP"].words
        with only_server(tmp_path):
            found = {f.subject: f for f in await check_all(settings)}
        assert found["SIP over UDP"].verdict is Verdict.GOOD
        assert found["SIP over TCP"].verdict is Verdict.BROKEN
        assert "nothing listens" in found["SIP over TCP"].words


def test_the_command_prints_a_line_for_each_and_fails_when_something_is_broken(
    tmp_path, owner_dsn, monkeypatch, capsys
):
    settings = settings_for(tmp_path, owner_dsn)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("SENT can work here.\n")
    missing = replace(settings, tls_cert=tmp_path / "none.pem")
    monkeypatch.setenv("SENT_TLS_CERT", str(missing.tls_cert))
    monkeypatch.setenv("SENT_TLS_KEY", str(tmp_path / "none.key"))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "BAD   certificate" in said
    assert "→ Correct SENT_TLS_CERT." in said
