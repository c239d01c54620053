"""Kafka's jars: listed with their SHA-256 in jars.sha256, fetched once by jgo, checked at each start.

`make lock-kafka` resolves the coordinates below and makes a new list.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from tradeflow.kafka.errors import DiskFull, DownloadFailed, HashMismatch, KafkaError

VERSION = "4.3.1"
# Kafka's pom names no logging backend; it speaks slf4j 1.7.  The mark ! keeps a pom's dependencyManagement to
# itself: log4j's would set Kafka's own client back to 3.8.
COORDINATES = [
    f"org.apache.kafka:kafka_2.13:{VERSION}!",
    "org.apache.logging.log4j:log4j-core:2.24.3!",
    "org.apache.logging.log4j:log4j-api:2.24.3!",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!",
]
LIST = Path(__file__).with_name("jars.sha256")
SIZE = 64 * 2**20  # bytes of disk that all jars need, rounded up
TRIES = 3

Progress = Callable[[str], None]


def default_cache_dir() -> Path:
    """Where this system keeps a user's caches, e.g. ~/.cache/tradeflow."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tradeflow"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradeflow"


def jars_home(cache_dir: Path) -> Path:
    """Of this version: the jars, laid out as in a Maven repository, and what is derived from them."""
    return cache_dir / f"kafka-{VERSION}"


def unfinished(cache_dir: Path) -> Path:
    """A directory for files being written, beside the finished ones so that a rename suffices.

    What killed processes have left there goes after a day."""
    directory = cache_dir / "unfinished"
    directory.mkdir(parents=True, exist_ok=True)
    for entry in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process may be tidying up too
            if entry.stat().st_mtime < time.time() - 86400:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
    return directory


def listed_jars() -> dict[str, str]:
    """Path in a Maven repository -> SHA-256, in the order of the class path."""
    lines = LIST.read_text(encoding="ascii").splitlines()
    return {path: sha256 for sha256, path in (line.split() for line in lines)}


def fetch_jars(
    cache_dir: Path, maven_url: str | None = None, progress: Progress = lambda _: None
) -> list[Path]:
    """All listed jars, in the order of the class path; what is missing or broken is downloaded.

    Any number of processes may do this at once: a jar gets its name by a rename, after its hash was checked.
    `maven_url` is a Maven repository instead of the public one.
    Raises DownloadFailed, HashMismatch, DiskFull."""
    jars = listed_jars()
    home = jars_home(cache_dir)
    with ThreadPoolExecutor(8) as pool:
        intact = list(pool.map(lambda item: _sha256(home / item[0]) == item[1], jars.items()))
        missing = [path for path, good in zip(jars, intact, strict=True) if not good]
        if not missing:
            return [home / path for path in jars]
        with _workspace(cache_dir) as workspace:
            download = _Download(workspace, home, maven_url)
            tasks = [pool.submit(download.jar, path, jars[path]) for path in missing]
            try:
                for done, task in enumerate(tasks):
                    progress(f"Downloading Kafka {VERSION}: {done} of {len(missing)} jars")
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
    progress(f"Downloaded Kafka {VERSION}: {len(missing)} jars, kept in {home}")
    return [home / path for path in jars]


class _Download:
    def __init__(self, workspace: Path, home: Path, maven_url: str | None) -> None:
        try:
            from jgo.maven import MavenContext
        except ImportError as error:
            raise KafkaError(f"{error}. The embedded Kafka needs: pip install 'tradeflow[kafka]'") from None
        repositories = {"configured": maven_url.rstrip("/")} if maven_url else None
        self.maven = MavenContext(repo_cache=workspace, remote_repos=repositories, timeout=15)
        self.workspace, self.home = workspace, home

    def jar(self, path: str, sha256: str) -> None:
        *group, artifact, version, _ = PurePosixPath(path).parts
        component = self.maven.project(".".join(group), artifact).at_version(version)
        arrived, target = self.workspace / path, self.home / path
        for attempt in range(1, TRIES + 1):
            try:
                component.artifact(packaging="jar").resolve()
                break
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                arrived.unlink(missing_ok=True)
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFull(self.home, shutil.disk_usage(self.workspace).free, SIZE) from None
                if attempt == TRIES:
                    raise DownloadFailed(path, error, self.home) from error
                time.sleep(0.5 * attempt)
        actual = _sha256(arrived)
        if actual != sha256:
            raise HashMismatch(path, sha256, str(actual))
        os.utime(arrived, (946684800, 946684800))  # the same bytes, the same time: class archives stay valid
        target.parent.mkdir(parents=True, exist_ok=True)
        arrived.replace(target)


@contextlib.contextmanager
def _workspace(cache_dir: Path) -> Iterator[Path]:
    """A directory for this process's downloads."""
    try:
        scratch = unfinished(cache_dir)
        free = shutil.disk_usage(scratch).free
        if free < SIZE:
            raise DiskFull(scratch, free, SIZE)
        with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as workspace:
            yield Path(workspace)
    except OSError as error:
        raise KafkaError(
            f"Can't write the cache: {error}. Set TRADEFLOW_CACHE_DIR to a directory that can be written."
        ) from None


def _sha256(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def resolve_jars() -> str:
    """The text of a new list for COORDINATES, resolved and downloaded by jgo."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as directory:
        maven = MavenContext(repo_cache=Path(directory), timeout=30)
        inputs, others = maven.resolver.resolve([maven.create_dependency(name) for name in COORDINATES])
        files = sorted(
            Path(d.artifact.resolve()) for d in [*inputs, *others] if d.scope in (None, "compile", "runtime")
        )
        return "".join(f"{_sha256(file)}  {file.relative_to(directory).as_posix()}\n" for file in files)
