"""`tradeflow new-strategy`: what it writes works as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from tradeflow.commands.new_strategy import new_strategy_command


def test_the_files_pass_as_they_are(tmp_path):
    done = CliRunner().invoke(new_strategy_command, ["two_words", "--directory", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "STRATEGIES=two_words:TwoWords make demo" in done.output
    command = [sys.executable, "-m", "pytest", "-q", "test_two_words.py", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0 and "3 passed" in ran.stdout, ran.stdout


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "test_mine.py").write_text("mine")
    done = CliRunner().invoke(new_strategy_command, ["mine", "--directory", str(tmp_path)])
    assert done.exit_code == 1 and "test_mine.py is there already" in done.output
    assert not (tmp_path / "mine.py").exists()


@pytest.mark.parametrize("name", ["Mine", "my-own", "1st", "class", ""])
def test_the_name_of_a_module_is_needed(tmp_path, name):
    done = CliRunner().invoke(new_strategy_command, [name, "--directory", str(tmp_path)])
    assert done.exit_code == 2 and "a module's name is needed" in done.output
    assert not list(tmp_path.iterdir())
