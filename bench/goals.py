"""What is to be reached, and what was measured: kept in docs/benchmarks.json, of which the first table is made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.processes import ROOT

KEPT = ROOT / "docs" / "benchmarks.json"


@dataclass(frozen=True)
class Goal:
    """`measured` must be `sign` `bound`, both in `unit`.  Without a bound it is told, and can't be missed."""

    what: str
    measured: float
    sign: Literal["≥", "≤"] = "≥"
    bound: float | None = None
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        if self.bound is None:
            return None
        return self.measured >= self.bound if self.sign == "≥" else self.measured <= self.bound

    def text(self, value: float) -> str:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}"

    def row(self, command: str) -> list[str]:
        goal = "" if self.bound is None else f"{self.sign} {self.text(self.bound)}"
        verdict = {None: "", True: "met", False: "**not met**"}[self.met]
        return [self.what, goal, self.text(self.measured), verdict, f"`{command}`"]


@dataclass(frozen=True)
class Section:
    """What a part has found.  `values` fill its text in report.md, `table` among them; `costs`: what the model of
    docs/scaling.md is made of, by name."""

    values: dict[str, Any]
    goals: list[Goal] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)


def kept(path: Path = KEPT) -> dict[str, dict[str, Any]]:
    """By part: its command, machine, goals and costs, as `keep` wrote them."""
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(part: str, section: Section, command: str, machine: str, path: Path = KEPT) -> None:
    """In place of what the part found before."""
    known = kept(path)
    goals = [vars(goal) for goal in section.goals]
    known[part] = {"command": command, "machine": machine, "goals": goals, "costs": section.costs}
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def costs(path: Path = KEPT) -> dict[str, float]:
    """Of all parts together."""
    return {name: cost for part in kept(path).values() for name, cost in part["costs"].items()}


def rows(parts: list[str], path: Path = KEPT) -> list[list[str]]:
    """The first table's: goal by goal, in the order of `parts`."""
    known = kept(path)
    return [
        Goal(**goal).row(f"--only {part}") for part in parts if part in known for goal in known[part]["goals"]
    ]
