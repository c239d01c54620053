"""The command line as a whole: what --help says, how a verb ends, what shells complete, how soon it is there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from tradeflow.cli import OPTIONS, VERSION, root
from tradeflow.commands import verb as verbs
from tradeflow.commands.completion import VARIABLE
from tradeflow.commands.errors import EXIT_CODES, told
from tradeflow.commands.table import ENTRIES, GROUPS, OWN_VERBS
from tradeflow.commands.verb import Verb

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **env: str | None) -> Result:
    return CliRunner().invoke(root, arguments, prog_name="tradeflow", env=env)


def command(*path: str) -> click.Command:
    found: click.Command = root
    context = click.Context(root, info_name="tradeflow")
    for name in path:
        assert isinstance(found, click.Group)
        below = found.get_command(context, name)
        assert below is not None
        found = below
    return found


PATHS = [(name,) for name in ENTRIES] + [("strategies", "set")]


# --- help ---


def test_help_lists_every_verb_on_one_line_under_its_heading() -> None:
    done = CliRunner().invoke(root, ["--help"], prog_name="tradeflow", terminal_width=80)
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert [line for line in lines if "..." in line and not line.startswith("Usage")] == []
    assert max(map(len, lines)) <= 80
    for title, entries in GROUPS.items():
        at = lines.index(f"{title}:")
        assert [line.split() for line in lines[at + 1 : at + 1 + len(entries)]] == [
            [name, *entry.says.split()] for name, entry in entries.items()
        ]


@pytest.mark.parametrize("name", OWN_VERBS)
def test_the_line_of_a_verb_is_the_first_sentence_of_its_help(name: str) -> None:
    found = command(name)
    assert found.get_short_help_str(limit=200) == ENTRIES[name].says
    assert len(ENTRIES[name].says) <= 60


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_verb_has_help_examples_and_a_word_on_every_option(path: tuple[str, ...]) -> None:
    found = command(*path)
    assert found.help and found.examples  # type: ignore[attr-defined]
    silent = [each.name for each in found.params if isinstance(each, click.Option) and not each.help]
    assert silent == []
    shown = run(*path, "--help").output
    assert "Examples:" in shown and "Usage: tradeflow " in shown
    assert max(map(len, shown.splitlines())) <= 90  # examples are not broken


def examples() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for path in PATHS:
        for line in command(*path).examples:  # type: ignore[attr-defined]
            for part in line.removeprefix('eval "$(').split("|"):
                words = shlex.split(part.replace(')"', ""), comments=True)
                words = words[: words.index(">")] if ">" in words else words
                while words and "=" in words[0]:
                    del words[0]
                if words and words[0] == "tradeflow":
                    yield path, words[1:]


@pytest.mark.parametrize(("path", "words"), list(examples()), ids=lambda value: " ".join(value))
def test_examples_can_be_typed(
    path: tuple[str, ...], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run.rec", "frames.rec"):
        (tmp_path / name).touch()
    context = root.make_context("tradeflow", list(words))
    found: click.Command = root
    words = [*context._protected_args, *context.args]
    while isinstance(found, click.Group) and words:
        name, below, words = found.resolve_command(context, words)
        if below is None:
            break
        assert name in (*path, "set")
        found = below
        context = found.make_context(name, words, parent=context)
        words = [*context._protected_args, *context.args]


def test_options_before_the_verb_are_those_of_faust() -> None:
    from faust.cli.faust import cli

    ours = {name for option in (*OPTIONS, VERSION) for name in (*option.opts, *option.secondary_opts)}
    theirs = {name for option in cli.params for name in (*option.opts, *option.secondary_opts)}
    assert ours == theirs
    takes_value = {
        option.name: not option.is_flag for option in cli.params if isinstance(option, click.Option)
    }
    assert {option.name: not option.is_flag for option in OPTIONS} == {
        name: takes for name, takes in takes_value.items() if name != "version"
    }
    assert set(cli.commands) - {"completion"} == set(GROUPS["Faust's own"]) | {"worker"}


# --- how soon ---


def test_help_imports_nothing_that_is_slow() -> None:
    program = """
import sys
from tradeflow.cli import main
try:
    main(["--help"])
except SystemExit:
    print({name for name in ("pydantic", "aiokafka", "faust", "rich", "msgspec", "asyncio") if name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


# --- how a verb ends ---


def test_a_verb_that_is_not_there_is_told_with_what_may_be_meant() -> None:
    done = run("wacth")
    assert done.exit_code == 2 and "there is no verb 'wacth': did you mean watch?" in done.output
    assert "`tradeflow --help` lists them all" in run("xyz").output


def test_options_of_fausts_verbs_do_not_go_with_ours() -> None:
    done = run("-l", "info", "show-config")
    assert done.exit_code == 2 and "--loglevel is for Faust's verbs" in done.output


def test_an_app_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tradeflow.cli", "-A", "nowhere_at_all", "agents"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert "No module named 'nowhere_at_all': correct -A" in done.stderr and "Traceback" not in done.stderr


def test_json_before_a_verb_that_prints_no_data_is_refused() -> None:
    done = run("--json", "new-strategy", "mine")
    assert done.exit_code == 2 and "tradeflow new-strategy prints no data" in done.output


@pytest.mark.parametrize("verb", ["show-config", "topics", "books", "tail x", "halt"])
def test_bad_settings_end_a_verb_with_2_and_no_traceback(verb: str) -> None:
    done = run(*verb.split(), TRADEFLOW_WEB_PORT="http")
    assert done.exit_code == 2
    assert "Error: TRADEFLOW_WEB_PORT='http'" in done.output and "Traceback" not in done.output


def test_no_kafka_ends_a_verb_with_3(free_broker: str) -> None:
    for verb in ("topics", "tail x", "dead-letters"):
        done = run(*verb.split(), KAFKA_BROKERS=free_broker)
        assert done.exit_code == 3, done.output
        assert f"no answer of Kafka at {free_broker}" in done.output and "KAFKA_BROKERS" in done.output


def test_no_worker_ends_a_verb_with_3(free_broker: str) -> None:
    for verb in ("books", "feeds", "strategies", "watch --once"):
        done = run(*verb.split(), "--url", f"http://{free_broker}/")
        assert done.exit_code == 3, done.output
        assert f"no worker answers at http://{free_broker} (" in done.output


@pytest.fixture
def free_broker() -> str:
    from tradeflow.ports import free_port

    return f"127.0.0.1:{free_port()}"


@verbs.verb("fails")
def fails() -> None:
    """Fail."""
    raise ZeroDivisionError("by nothing")


def test_what_nobody_foresaw_is_told_and_shown_when_asked_for() -> None:
    done = CliRunner().invoke(fails, [])
    assert done.exit_code == 1
    assert "ZeroDivisionError: by nothing" in done.output and "--debug" in done.output
    for options, env in (["--debug"], {}), ([], {"TRADEFLOW_TRACEBACK": "1"}):
        shown = CliRunner().invoke(fails, options, env=env)
        assert isinstance(shown.exception, ZeroDivisionError)


def test_ctrl_c_ends_a_verb_with_130() -> None:
    @click.command("long", cls=Verb)
    def long() -> None:
        raise KeyboardInterrupt

    assert CliRunner().invoke(long, []).exit_code == 130


def test_debug_before_the_verb_shows_tracebacks_too() -> None:
    context = root.make_context("tradeflow", ["--debug", "show-config"])
    with pytest.raises(ZeroDivisionError), told(context):
        raise ZeroDivisionError
    with pytest.raises(click.ClickException), told(root.make_context("tradeflow", ["show-config"])):
        raise ZeroDivisionError


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert all(f"| {code} | {says} |" in page for code, says in EXIT_CODES.items())


def test_another_directory_is_that_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # back at the end
    (tmp_path / ".env").write_text("ORDER_BOOK_DEPTH=7\n")
    done = run("--workdir", str(tmp_path), "--json", "show-config")
    assert json.loads(done.stdout)["ORDER_BOOK_DEPTH"] == {"value": 7, "source": ".env"}
    assert run("-W", str(tmp_path / "gone"), "show-config").exit_code == 2


def test_versions_are_told() -> None:
    assert run("--version").output.startswith("tradeflow 0")


# --- completion ---


def completions(*words: str) -> list[str]:
    *before, last = words
    return [
        item.value for item in ShellComplete(root, {}, "tradeflow", VARIABLE).get_completions(before, last)
    ]


def test_verbs_options_symbols_books_and_topics_are_completed() -> None:
    assert completions("wa") == ["watch"]
    assert completions("re") == ["resume", "record", "replay", "reset"]
    assert "--follow" in completions("tail", "x", "--fo")
    assert "--local" in completions("agents", "--lo")
    assert completions("tail", "top") == ["top-of-book"]
    assert completions("watch", "btc-usdt") == ["BTC-USDT"]
    assert completions("watch", "kr") == ["kraken"]
    assert "binance/BTC-USDT" in completions("books", "binance/B")
    assert "BTC-USDT" in completions("halt", "--symbol", "BTC")
    assert completions("strategies", "s") == ["set"]


def test_bash_completes_as_told(tmp_path: Path) -> None:
    script = """
eval "$(tradeflow completion bash)"
COMP_WORDS=(tradeflow dead); COMP_CWORD=1
_tradeflow_completion tradeflow dead tradeflow
echo "${COMPREPLY[@]}"
"""
    assert typed("bash", "-c", script) == "dead-letters\n"


def typed(*command: str) -> str:
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}: apt install {command[0]}")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "dumb"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout


def test_fish_completes_as_told_and_says_what_it_is() -> None:
    completed = typed(
        "fish", "--no-config", "-c", 'tradeflow completion fish | source; complete -C "tradeflow ha"'
    )
    assert completed == "halt\tLet no new order pass; cancel what is open.\n"


# A zsh of its own, at a terminal of its own (zpty), where the key Tab does what it does for who types.
ZSH = r"""
zmodload zsh/zpty
zpty inner zsh --no-rcs --interactive
zpty -w inner 'PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D'
zpty -w inner 'eval "$(tradeflow completion zsh)"; echo re""ady'
zpty -r -m inner ready '*ready*'
zpty -w -n inner $'tradeflow halt --symbol BTC-\t'
zpty -r -m inner came '*BTC-USD*' && print -r -- ${came##*halt }
zpty -d inner
"""


def test_zsh_completes_as_told() -> None:
    assert "--symbol BTC-USD" in typed("zsh", "--no-rcs", "-c", ZSH)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_scripts(shell: str) -> None:
    assert "_TRADEFLOW_COMPLETE" in run("completion", shell).output
    assert f"_TRADEFLOW_COMPLETE={shell}_complete" in run("completion", SHELL=f"/usr/bin/{shell}").output
    assert run("completion", SHELL="/bin/csh").exit_code == 2
