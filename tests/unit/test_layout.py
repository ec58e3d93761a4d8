"""Rules of the tree that the import linter cannot see."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent.parent / "src" / "sent"


def _imports_extension(file: Path) -> bool:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            continue
        if "sent.media._engine" in names:
            return True
    return False


def test_only_the_engines_face_imports_the_extension():
    importers = [str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if _imports_extension(file)]
    assert importers == ["media/engine.py"]


def test_every_source_file_stays_readable_in_one_sitting():
    long = {str(f.relative_to(SOURCE)): n for f in SOURCE.rglob("*.py") if (n := len(f.read_text().splitlines())) > 600}
    assert long == {}
