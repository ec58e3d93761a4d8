from __future__ import annotations

from pathlib import Path

import pytest

from sent.infra.audit.key import AuditKeyError, key_id, load_audit_key, load_public_key


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "audit.key"
    made = load_audit_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_audit_key(path)
    beside = load_public_key(tmp_path / "keys" / "audit.key.pub")
    assert key_id(made.public_key()) == key_id(again.public_key()) == key_id(beside)
    assert sorted(p.name for p in path.parent.iterdir()) == ["audit.key", "audit.key.pub"]


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    load_audit_key(path)
    path.chmod(0o640)
    with pytest.raises(AuditKeyError, match="chmod 600"):
        load_audit_key(path)


def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(AuditKeyError, match="backup"):
        load_audit_key(path)
    assert path.read_text() == "not a key"
