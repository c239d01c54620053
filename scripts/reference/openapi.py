"""docs/reference/openapi.json: the document that a worker with the default settings serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PRINT = "from tradeflow import service; print(service.about.described().decode())"


def page() -> str:
    """Made in a process of its own: the views are there only with an app, which has settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.TemporaryDirectory() as elsewhere:  # where there is no .env
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", PRINT],
            cwd=elsewhere,
            env=kept | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.dumps(json.loads(done.stdout), indent=1, ensure_ascii=False) + "\n"
