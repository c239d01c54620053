"""A file system of a few MiB in memory, to be filled."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path


class NotAllowed(RuntimeError):
    """Mounting a tmpfs takes root on Linux."""


class SmallDisk:
    """Mounted at `directory`, which keeps what is in it, from `mount` to `unmount`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / "ballast"

    def mount(self, mebibytes: int) -> SmallDisk:
        """Of so many MiB more than what is there already takes.  Raises NotAllowed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        size = mebibytes * 2**20 + sum(path.stat().st_size for path in self.directory.rglob("*"))
        aside = self.directory.with_name(f"{self.directory.name}.aside")
        self.directory.rename(aside)
        self.directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.directory)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.directory.rmdir()
            aside.rename(self.directory)
            raise NotAllowed(f"needs the right to mount a tmpfs (root on Linux): {error}") from None
        _move(aside, self.directory)
        return self

    def unmount(self) -> None:
        """What is in it goes to the disk below; nobody may be writing."""
        self.free()
        aside = self.directory.with_name(f"{self.directory.name}.aside")
        _move(self.directory, aside)
        subprocess.run(["umount", "--lazy", str(self.directory)], check=True)
        self.directory.rmdir()
        aside.rename(self.directory)

    def fill(self) -> None:
        """To the last page."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        shutil.move(path, target / path.name)
    with contextlib.suppress(OSError):  # a mount point stays
        source.rmdir()
