import pytest

from sent.app.instance import is_serving, only_server
from sent.kit.errors import Unavailable


def test_a_second_server_on_a_folder_is_refused_and_the_first_left_alone(tmp_path):
    assert not is_serving(tmp_path)
    with only_server(tmp_path):
        assert is_serving(tmp_path)
        with pytest.raises(Unavailable, match="SENT_DATA_DIR") as refused, only_server(tmp_path):
            pass
        assert refused.value.code == "app.already_running"
        assert is_serving(tmp_path)
    assert not is_serving(tmp_path)
    with only_server(tmp_path):
        pass


def test_two_folders_are_two_servers(tmp_path):
    with only_server(tmp_path / "a"), only_server(tmp_path / "b"):
        assert is_serving(tmp_path / "a")


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="file") as refused, only_server(tmp_path / "file"):
        pass
    assert refused.value.code == "app.data_folder"
