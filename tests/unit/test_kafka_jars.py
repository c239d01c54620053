"""The cache of jars, with a list of tiny ones and a Maven repository on loopback."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time

import pytest

from tradeflow.kafka import DiskFull, DownloadFailed, HashMismatch, KafkaError, jars
from tradeflow.kafka.jars import fetch_jars, listed_jars

CONTENT = {
    f"org/example/part{number}/1.{number}/part{number}-1.{number}.jar": f"jar {number}".encode() * 5000
    for number in range(6)
}
LAST = list(CONTENT)[-1]


class Repository(http.server.ThreadingHTTPServer):
    """Serves `files`; promises more bytes than it sends for the first `truncated` answers."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(CONTENT)
        self.asked: list[str] = []
        self.truncated = 0
        self.url = f"http://127.0.0.1:{self.server_port}/maven"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.removeprefix("/maven/")
        if path.endswith(".jar"):
            self.server.asked.append(path)
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.truncated > 0:
            self.server.truncated -= 1
            content = content[:1000]
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in CONTENT.items()]
    (tmp_path / "jars.sha256").write_text("".join(lines))
    monkeypatch.setattr(jars, "LIST", tmp_path / "jars.sha256")
    with Repository() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def unfinished(cache):
    return list((cache / "unfinished").iterdir())


def test_the_list_is_of_one_kafka_and_names_no_host():
    listed = listed_jars()
    assert len(listed) == 46
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in listed.values())
    kafka = [path for path in listed if path.startswith("org/apache/kafka/")]
    assert len(kafka) == 14
    assert all(path.endswith(f"-{jars.VERSION}.jar") for path in kafka)
    assert "://" not in jars.LIST.read_text()


def test_jars_are_fetched_once_in_the_order_of_the_list(repository, cache):
    said = []
    files = fetch_jars(cache, repository.url, said.append)
    assert [file.read_bytes() for file in files] == list(CONTENT.values())
    assert "6 jars" in said[-1]
    assert unfinished(cache) == []
    assert fetch_jars(cache, "http://127.0.0.1:1/nobody") == files
    assert sorted(repository.asked) == sorted(CONTENT)


def test_a_jar_that_broke_in_the_cache_is_fetched_again(repository, cache):
    files = fetch_jars(cache, repository.url)
    files[2].write_bytes(files[2].read_bytes()[:-1])
    files[4].unlink()
    repository.asked.clear()
    assert [file.read_bytes() for file in fetch_jars(cache, repository.url)] == list(CONTENT.values())
    assert sorted(repository.asked) == [list(CONTENT)[2], list(CONTENT)[4]]


def test_an_altered_jar_is_refused_and_not_kept(repository, cache):
    repository.files[LAST] = b"something else"
    with pytest.raises(HashMismatch) as caught:
        fetch_jars(cache, repository.url)
    assert caught.value.jar == LAST
    assert caught.value.actual == hashlib.sha256(b"something else").hexdigest() in str(caught.value)
    assert caught.value.expected == hashlib.sha256(CONTENT[LAST]).hexdigest() in str(caught.value)
    assert not list(cache.rglob("part5*.jar"))
    assert unfinished(cache) == []
    repository.files = dict(CONTENT)
    assert len(fetch_jars(cache, repository.url)) == 6


def test_an_interrupted_download_is_tried_again(repository, cache):
    repository.truncated = 2
    assert [file.read_bytes() for file in fetch_jars(cache, repository.url)] == list(CONTENT.values())


def test_a_failed_download_names_the_jar_the_reason_and_what_to_do(repository, cache):
    del repository.files[LAST]
    with pytest.raises(DownloadFailed, match="TRADEFLOW_MAVEN_URL") as caught:
        fetch_jars(cache, repository.url)
    assert caught.value.jar == LAST
    assert repository.url in caught.value.reason
    assert len(list(cache.rglob("part*.jar"))) == 5, "what has arrived is kept"


def test_no_network(repository, cache):
    with pytest.raises(DownloadFailed, match=r"Connection refused.*Check the network"):
        fetch_jars(cache, "http://127.0.0.1:1/nobody")


def test_processes_that_start_at_once_do_not_disturb_each_other(repository, cache):
    script = (
        "import sys; from pathlib import Path; from tradeflow.kafka import jars;"
        "jars.LIST = Path(sys.argv[1]); print(len(jars.fetch_jars(Path(sys.argv[2]), sys.argv[3])))"
    )
    command = [sys.executable, "-c", script, str(jars.LIST), str(cache), repository.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["6\n"] * 3
    files = fetch_jars(cache, "http://127.0.0.1:1/nobody")
    assert [file.read_bytes() for file in files] == list(CONTENT.values())


def test_too_small_a_disk_is_seen_before_anything_is_fetched(repository, small_disk):
    with pytest.raises(DiskFull, match=r"4 MiB free, 64 MiB needed") as caught:
        fetch_jars(small_disk(4), repository.url)
    assert caught.value.free <= 4 * 2**20
    assert repository.asked == []


def test_a_disk_that_fills_up_during_the_download(repository, small_disk, monkeypatch):
    monkeypatch.setattr(jars, "SIZE", 0)
    repository.files[LAST] = b"x" * 3 * 2**20
    disk = small_disk(1)
    with pytest.raises(DiskFull):
        fetch_jars(disk, repository.url)
    assert unfinished(disk) == []
    assert not list(disk.rglob("part5*.jar"))


@pytest.mark.parametrize("below", ["", "cache"])
def test_a_cache_that_can_not_be_a_directory_is_told(repository, tmp_path, below):
    (tmp_path / "file").touch()
    with pytest.raises(KafkaError, match=r"^Can't write the cache: .+/file.+ Set TRADEFLOW_CACHE_DIR to"):
        fetch_jars(tmp_path / "file" / below, repository.url)


def test_leftovers_of_a_killed_process_go_after_a_day(repository, cache):
    old, new = cache / "unfinished" / "old", cache / "unfinished" / "new"
    old.mkdir(parents=True)
    new.mkdir()
    (file := cache / "unfinished" / "old.jsa").write_bytes(b"")
    for entry in (old, file):
        os.utime(entry, (time.time() - 90000,) * 2)
    fetch_jars(cache, repository.url)
    assert unfinished(cache) == [new]
