"""One record for several processes, also when they die, hang, or are someone else's."""

import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_trtc.cloud import shared_file
from airflow_trtc.cloud.shared_file import OLD_SECONDS, Busy, SharedFile, default_directory

ROOT = Path(__file__).parents[2]
SIZE = 8
NOBODY = 65_534
COUNT = """
import sys
from airflow_trtc.cloud.shared_file import Busy, SharedFile
file, more = SharedFile(sys.argv[1], "count"), int(sys.argv[2])
while more:
    try:
        file.exchange(lambda found: (int.from_bytes(found, "big") + 1).to_bytes(8, "big"), 8)
        more -= 1
    except Busy:
        pass
"""
HOLD = """
import sys, time
from airflow_trtc.cloud.shared_file import SharedFile
def hold(found):
    print("holds", flush=True)
    time.sleep(600)
    return found
SharedFile(sys.argv[1], "count").exchange(hold, 8)
"""
# As a user that is not almighty; what it prints is the error.
TRY = """
import fcntl, os, sys
from airflow_trtc.cloud.shared_file import SharedFile
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    SharedFile(sys.argv[1], "count").exchange(lambda found: b"12345678", 8)
except OSError as error:
    print(error)
"""


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


@contextmanager
def holder(directory):
    """A process that holds the lock."""
    process = python(HOLD, directory)
    try:
        assert process.stdout
        assert process.stdout.readline() == "holds\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def read(file):
    found = []

    def note(record):
        found.append(record)
        return record

    file.exchange(note, SIZE)
    return found[0]


def write(file, record=b"12345678"):
    file.exchange(lambda _: record, SIZE)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "made" / "here"


@pytest.fixture
def file(directory):
    return SharedFile(str(directory), "count")


def test_the_record_is_there_for_the_next_one_and_for_no_other_user(file, directory):
    assert read(file) == b""
    write(file)
    assert read(SharedFile(str(directory), "count")) == b"12345678"
    assert [path.name for path in directory.iterdir()] == ["count.pace"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("before", [b"1", b"1" * 9, b"1" * 100_000])
def test_whatever_was_there_only_the_record_stays(file, before):
    write(file)
    file.path.write_bytes(before)
    assert read(file) == before[: SIZE + 1]
    write(file)
    assert file.path.read_bytes() == b"12345678"


def test_no_change_of_several_processes_is_lost(file, directory):
    counters = [python(COUNT, directory, 500) for _ in range(4)]
    assert [counter.wait(60) for counter in counters] == [0] * 4
    assert int.from_bytes(read(file), "big") == 2000
    for counter in counters:
        counter.communicate()


def test_who_is_killed_gives_the_lock_back(file, directory):
    with holder(directory) as process:
        with pytest.raises(Busy):
            write(file)
        process.kill()
        process.wait()
        write(file)


def test_who_is_stopped_keeps_the_lock_but_holds_nobody_up(file, directory):
    with holder(directory) as process:
        process.send_signal(signal.SIGSTOP)
        for _ in range(100):
            with pytest.raises(Busy):
                write(file)


def test_a_process_that_was_forked_meanwhile_keeps_no_lock(file):
    """As a worker that forks a task while another thread takes its turn, and then is killed."""
    children = []

    def fork(found):
        if (child := os.fork()) == 0:
            signal.pause()
        children.append(child)
        return b"12345678"

    file.exchange(fork, SIZE)
    write(file)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_file_or_a_directory_that_was_removed_is_made_anew(file, directory):
    write(file)
    file.path.unlink()
    assert read(file) == b""
    file.path.unlink()
    directory.rmdir()
    write(file)
    assert read(file) == b"12345678"


def test_what_was_not_used_for_a_day_is_removed(file, directory):
    names = ("old.pace", "new.pace", "old.txt")
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).write_text("")
        age = OLD_SECONDS + 60 if "old" in name else OLD_SECONDS / 2
        os.utime(directory / name, (time.time() - age,) * 2)
    write(file)
    assert {path.name for path in directory.iterdir()} == {"count.pace", "new.pace", "old.txt"}


def test_what_leads_elsewhere_is_not_followed(file, directory, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory.parent.mkdir()
    directory.symlink_to(elsewhere)
    with pytest.raises(OSError, match="wrong kind"):
        write(file)
    directory.unlink()
    directory.mkdir(mode=0o700)
    file.path.symlink_to(elsewhere / "file")
    with pytest.raises(OSError, match="symbolic"):
        write(file)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "fifo"])
def test_what_is_no_file_is_refused_at_once(file, directory, make):
    directory.mkdir(parents=True)
    make(file.path)
    with pytest.raises(OSError, match=r"directory|wrong kind|seek"):
        write(file)


def test_what_others_may_write_is_refused(file, directory):
    directory.mkdir(parents=True)
    for path, make in ((directory, None), (file.path, b"12345678")):
        if make is not None:
            path.write_bytes(make)
        path.chmod(0o770)
        with pytest.raises(OSError, match=f"others may write to {path}"):
            write(file)
        path.chmod(0o700)
    write(file)


def test_a_file_in_place_of_the_directory_is_refused(file, directory):
    directory.parent.mkdir()
    directory.write_text("")
    with pytest.raises(OSError, match="wrong kind"):
        write(file)


def tried(directory):
    with python(TRY, directory) as process:
        return process.communicate()[0].strip()


@pytest.fixture
def open_path(tmp_path):
    """A path that another user reaches."""
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(0o711)
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
def test_what_belongs_to_another_user_is_refused(open_path):
    directory = open_path / "shared"
    directory.mkdir(mode=0o755)
    assert "belongs to user 0" in tried(directory)
    os.chown(directory, NOBODY, NOBODY)
    assert tried(directory) == ""
    assert (directory / "count.pace").read_bytes() == b"12345678"
    os.chown(directory / "count.pace", 0, 0)
    assert "denied" in tried(directory)
    assert (directory / "count.pace").read_bytes() == b"12345678"


def test_what_may_only_be_read_is_an_error(open_path):
    directory = open_path / "shared"
    directory.mkdir(mode=0o500)
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    assert "denied" in tried(directory)
    directory.chmod(0o700)
    assert tried(directory) == ""
    (directory / "count.pace").chmod(0o400)
    assert "denied" in tried(directory)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_an_error(file, monkeypatch):
    write(file)
    pwrite = os.pwrite
    with open("/dev/full", "wb") as full:
        monkeypatch.setattr(os, "pwrite", lambda _, record, at: pwrite(full.fileno(), record, at))
        with pytest.raises(OSError, match="space"):
            write(file, b"87654321")
    monkeypatch.undo()
    assert read(file) == b"12345678"


def test_by_default_it_lies_in_memory_where_there_is_such_a_place(monkeypatch, tmp_path):
    monkeypatch.setattr(shared_file, "IN_MEMORY", tmp_path)
    assert default_directory() == str(tmp_path / f"airflow-trtc-{os.geteuid()}")
    monkeypatch.setattr(shared_file, "IN_MEMORY", tmp_path / "missing")
    monkeypatch.setattr("tempfile.tempdir", "/somewhere")
    assert default_directory() == f"/somewhere/airflow-trtc-{os.geteuid()}"
