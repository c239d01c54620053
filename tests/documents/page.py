"""A page of the documentation as a list of steps: commands, and what they print.

- A block ```` ```sh ```` is a step. All steps of a page run one after the other in one bash, in one directory.
- A block ```` ```text ```` after it is what it prints, to the last line.
- A comment on the line above a ```` ```sh ```` block marks it:

  | | |
  |---|---|
  | `<!-- not run -->` | needs what a test doesn't have, or was done already; prose says so |
  | `<!-- fails -->` | its status must not be 0 |
  | `<!-- keeps running -->` | a terminal of its own, beside the steps that follow; it shows that when it is ready |
  | `<!-- within N s -->` | what it shows takes a moment: the test gives the command again, at most so long |
  | `<!-- numbers vary -->` | of what it prints |

  Several may stand in one comment, with commas between them.
- `<!-- Ctrl-C -->` by itself ends the terminal that was opened last; a ```` ```text ```` block after it is what that
  prints last.

What is printed must be as shown, but for the width of gaps and of table lines. `…` on a line of its own stands for any
lines, within a line for anything. Where numbers vary, each digit group may be another one. Ids of 12 hex digits or more
always vary; one that was shown and is used later stands for the one that came in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

MARKS = re.compile(r"not run|fails|keeps running|Ctrl-C|numbers vary|within \d+ s")
PARTS = re.compile(
    r"^<!-- (?P<marks>[^>]*) -->$|^```(?P<kind>sh|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
ID = re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{12,}\b")
NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
TOKENS = re.compile(rf"(?P<any>…)|(?P<lines>[─-╿]+)|(?P<id>{ID.pattern})|(?P<number>{NUMBER})|(?P<gap>\s+)")


class Step(NamedTuple):
    """`commands` is empty where the last terminal is to end; `printed` is None where nothing is shown."""

    line: int
    commands: str
    printed: str | None
    keeps_running: bool = False
    numbers_vary: bool = False
    fails: bool = False
    within: float = 0.0


def steps(text: str) -> Iterator[Step]:
    """Of a page, in its order.  Raises ValueError for a mark that nobody knows."""
    marks: list[str] = []
    step: Step | None = None
    for part in PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        match part["kind"]:
            case None:
                words = [word.strip() for word in part["marks"].split(",")]
                if not any(map(MARKS.fullmatch, words)):
                    continue  # for people
                if unknown := [word for word in words if not MARKS.fullmatch(word)]:
                    raise ValueError(f"line {line}: no such mark: {', '.join(unknown)}")
                marks = words
                if "Ctrl-C" not in marks:
                    continue
                body = ""
            case "sh":
                body = part["body"]
            case _:
                if step is not None:
                    yield step._replace(printed=part["body"])
                step = None
                continue
        if step is not None:
            yield step
        within = next((float(mark.split()[1]) for mark in marks if mark.startswith("within")), 0.0)
        known = {
            mark.replace(" ", "_"): True
            for mark in marks
            if mark in ("keeps running", "numbers vary", "fails")
        }
        step = Step(line, body, None, within=within, **known)
        if "not run" in marks:
            step = None
        marks = []
    if step is not None:
        yield step


def with_ids(text: str, ids: Mapping[str, str]) -> str:
    """`text` with the ids that came instead of those that the page shows."""
    return ID.sub(lambda found: ids.get(found[0], found[0]), text)


def difference(step: Step, printed: str, ids: dict[str, str]) -> str | None:
    """None if what was printed is what the page shows, else the first line that isn't; notes ids that came."""
    if step.printed is None:
        return None
    pattern, names = _pattern(step, ids)
    found = re.fullmatch(pattern, _stripped(printed) + "\n")
    if found is None:
        return f"line {step.line} of the page shows\n{step.printed}\nand what came is\n{printed}"
    ids |= {name: found[group] for group, name in names.items()}
    return None


def _stripped(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _pattern(step: Step, ids: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A regular expression of the whole, and which group of it is which id of the page."""
    names: dict[str, str] = {}
    groups: dict[str, str] = {}

    def token(found: re.Match[str]) -> str:
        match found.lastgroup:
            case "any":
                return "[^\n]*"
            case "lines":
                return "[─-╿]+"
            case "gap":
                return "[ \t]+"
            case "number":
                return NUMBER if step.numbers_vary else re.escape(found[0])
        if found[0] in ids:
            return re.escape(ids[found[0]])
        if found[0] in groups:
            return f"(?P={groups[found[0]]})"
        groups[found[0]] = f"id{len(groups)}"
        names[groups[found[0]]] = found[0]
        return f"(?P<{groups[found[0]]}>[0-9a-f]{{{len(found[0])}}})"

    lines = []
    for line in _stripped(step.printed or "").splitlines():
        if line == "…":
            lines.append("(?:[^\n]*\n)*?")
            continue
        at, pattern = 0, ""
        for found in TOKENS.finditer(line):
            pattern += re.escape(line[at : found.start()]) + token(found)
            at = found.end()
        lines.append(pattern + re.escape(line[at:]) + "\n")
    return "".join(lines), names
