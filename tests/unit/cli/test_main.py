import importlib.util

import pytest

from sent.cli import main as cli
from sent.kit.errors import NotFound


def test_without_arguments_it_lists_every_command(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in cli.COMMANDS)


def test_an_unknown_command_is_named_and_the_list_shown(capsys):
    assert cli.main(["telephone"]) == 2
    assert "'telephone'" in capsys.readouterr().err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_listed_command_has_its_file(name):
    assert importlib.util.find_spec(f"sent.cli.{name}")


def test_an_error_is_one_sentence_with_its_code(capsys, monkeypatch):
    def refuse(arguments):
        raise NotFound("call.not_found", "There is no such call. `sent calls` lists them.")

    monkeypatch.setattr("sent.cli.settings.run", refuse)
    assert cli.main(["settings"]) == 1
    assert capsys.readouterr().err == "sent: There is no such call. `sent calls` lists them. [call.not_found]\n"


def test_settings_hides_what_is_secret(capsys, monkeypatch):
    monkeypatch.setenv("SENT_DATABASE_URL", "postgresql://owner:hunter2@db/sent")
    assert cli.main(["settings"]) == 0
    assert "hunter2" not in capsys.readouterr().out
