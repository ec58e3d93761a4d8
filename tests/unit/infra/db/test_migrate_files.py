from __future__ import annotations

from pathlib import Path

import pytest

from sent.infra.db.migrate import MigrationError, find_migrations


def put(root: Path, module: str, name: str) -> None:
    folder = root / module / "migrations"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"-- {name}\n")


def test_by_name_across_modules(tmp_path: Path) -> None:
    put(tmp_path, "zebra", "0003_a.sql")
    put(tmp_path, "apple", "0020_b.sql")
    put(tmp_path, "apple", "0001_c.sql")
    assert [m.name for m in find_migrations(tmp_path)] == ["0001_c.sql", "0003_a.sql", "0020_b.sql"]


def test_one_number_for_two_files_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "zebra", "0003_a.sql")
    put(tmp_path, "apple", "0003_b.sql")
    with pytest.raises(MigrationError, match="same number"):
        find_migrations(tmp_path)


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "a.sql"])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "apple", name)
    with pytest.raises(MigrationError, match="NNNN_name"):
        find_migrations(tmp_path)
