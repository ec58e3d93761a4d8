from __future__ import annotations

import stat

import pytest

from sent.calls.leases import node_id
from sent.kit.errors import BadInput


def test_a_node_keeps_its_id_with_its_data(tmp_path):
    first = node_id(tmp_path / "data")
    assert node_id(tmp_path / "data") == first
    assert node_id(tmp_path / "other") != first
    assert stat.S_IMODE((tmp_path / "data" / "node-id").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"not an id", b"\xff\xfe"])
def test_a_damaged_id_is_refused_with_its_remedy(tmp_path, content):
    (tmp_path / "node-id").write_bytes(content)
    with pytest.raises(BadInput, match="delete it"):
        node_id(tmp_path)
