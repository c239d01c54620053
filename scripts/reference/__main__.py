"""Write what has changed, and say which files that were."""

from __future__ import annotations

import sys

from scripts.reference import ROOT, files

for path, text in files().items():
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
