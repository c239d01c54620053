"""The reader of pages itself: it takes what a page shows, and nothing else."""

from __future__ import annotations

import pytest

from tests.documents.page import Step, difference, steps, with_ids
from tests.documents.terminals import Terminals

PAGE = """\
Prose with `sh`.

```sh
one
```
```text
1
```

<!-- a program for people -->
```python
no()
```

<!-- keeps running, within 5 s -->
```sh
two
```

<!-- not run -->
```sh
three
```
```text
3
```

<!-- Ctrl-C -->
```text
Stopping
```
"""


def test_the_steps_of_a_page_in_its_order():
    assert list(steps(PAGE)) == [
        Step(3, "one\n", "1\n"),
        Step(16, "two\n", None, keeps_running=True, within=5),
        Step(28, "", "Stopping\n"),
    ]


def test_a_mark_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="line 1: no such mark: keep runing"):
        list(steps("<!-- numbers vary, keep runing -->\n```sh\nx\n```\n"))


ID, OTHER = "417994a9aaf4df3b6f5705ffaa2c805d", "0" * 16 + "abcdef0123456789"


@pytest.mark.parametrize(
    ("shown", "printed", "vary", "same"),
    [
        ("a 1.50  b", "a   1.50 b\n", False, True),
        ("a 1.50", "a 1.51", False, False),
        ("a 1.50", "a -1,000", True, True),
        ("a 1.50", "a b", True, False),
        ("a 1.50", "c 1.50", True, False),
        ("a\nb", "a\n\nb", False, False),
        ("a\n…\nb", "a\nx\n\ny\nb", False, True),
        ("a\n…\nb", "a\nb", False, True),
        ("a\n…", "b\na", False, False),
        ("took … of 3", "took 2 s (of 4) of 3", False, True),
        ("┏━━━┓", "┏━━━━━┓", False, True),
        (f"{ID} {ID}", f"{OTHER} {OTHER}", False, True),
        (f"{ID} {ID}", f"{OTHER} {ID}", False, False),
        ("a.b", "axb", False, False),
    ],
)
def test_what_is_printed_must_be_as_shown(shown, printed, vary, same):
    step = Step(1, "x", shown, numbers_vary=vary)
    assert (difference(step, printed, {}) is None) == same


def test_an_id_that_was_shown_stands_for_the_one_that_came():
    ids: dict[str, str] = {}
    assert difference(Step(1, "x", f"order {ID}"), f"order {OTHER}", ids) is None
    assert with_ids(f"explain {ID}", ids) == f"explain {OTHER}"
    assert difference(Step(2, "x", f"again {ID}"), f"again {ID}", ids) is not None


def blocks(*pairs: tuple[str, str]) -> str:
    return "".join(f"```sh\n{commands}\n```\n```text\n{printed}\n```\n" for commands, printed in pairs)


def test_a_page_is_taken_in_one_shell(tmp_path):
    with Terminals(tmp_path) as terminals:
        page = blocks(("mkdir in; cd in; A=3; echo $A", "3"), ("basename $PWD; echo $A", "in\n3"))
        assert terminals.take(page) == 2


def test_what_is_not_as_shown_fails(tmp_path):
    with (
        Terminals(tmp_path) as terminals,
        pytest.raises(AssertionError, match="line 1 of the page shows\nyes\n"),
    ):
        terminals.take(blocks(("echo no", "yes")))


def test_a_command_that_fails_fails_the_page(tmp_path):
    with Terminals(tmp_path) as terminals, pytest.raises(AssertionError, match="failed"):
        terminals.take(blocks(("false", ""), ("echo on", "on")))


def test_a_command_that_is_to_fail_must(tmp_path):
    page = "<!-- fails -->\n```sh\nls nowhere\n```\n```text\n…nowhere…\n```\n"
    with Terminals(tmp_path) as terminals:
        terminals.take(page)
        with pytest.raises(AssertionError, match="failed"):
            terminals.take(page.replace("ls nowhere", "echo nowhere"))


def test_what_takes_a_moment_is_tried_again_and_not_for_ever(tmp_path):
    page = "<!-- within 5 s -->\n```sh\nls\necho -n x >> n; cat n\n```\n```text\nn\nxxx\n```\n"
    with Terminals(tmp_path) as terminals:
        terminals.take(page)
        with pytest.raises(AssertionError, match="shows"):
            terminals.take(page.replace("5", "0"))


def test_a_terminal_beside_it_runs_until_it_is_interrupted(tmp_path):
    page = """\
<!-- keeps running -->
```sh
trap 'echo Stopping; exit' INT
echo ready
while true; do sleep 0.1; done
```
```text
ready
```
```sh
echo meanwhile
```
<!-- Ctrl-C -->
```text
Stopping
```
"""
    with Terminals(tmp_path) as terminals:
        assert terminals.take(page) == 3
