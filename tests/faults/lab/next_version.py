"""`python -m tests.faults.lab.next_version ARGUMENTS…`: the command line of a tradeflow whose every record has a field
more than ours, as a later version may have: the same source, with that line in it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import runpy
import sys
from types import CodeType
from typing import Any

MODULE = "tradeflow.messages.record"
LINE = "    v: SchemaVersion = SCHEMA_VERSION\n"
FIELD = '    written_by: str = "the next version"\n'


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        assert source.count(LINE) == 1, f"{MODULE} has changed"
        return compile(source.replace(LINE, LINE + FIELD), self.path, "exec", dont_inherit=True)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Any, target: Any = None) -> Any:
        if name != MODULE:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        assert found is not None and found.origin is not None
        return importlib.util.spec_from_loader(name, _Loader(name, found.origin))


if __name__ == "__main__":
    sys.meta_path.insert(0, _Finder)
    runpy.run_module("tradeflow.cli", run_name="__main__", alter_sys=True)
