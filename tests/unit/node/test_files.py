"""Files that rules name: what is no regular file, too much, or does not answer, and what a name costs."""

import os
import threading
import tracemalloc

import pytest

from nodemesh.node import files
from nodemesh.node.files import MAX_FILE, FileReader


@pytest.fixture
def reader():
    return FileReader()


def looked(reader, wanted, known=None):
    """Look until the answer is there."""
    while (found := reader.look(wanted, known or {})) is None:
        pass
    return found


def test_only_regular_files_are_opened(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ca.pem").write_text("authority")
    places = ["/dev/ptmx", "/dev/zero", "/dev/tty", str(tmp_path / "pipe"), str(tmp_path), "/proc/self/fd/0/x"]
    terminals = len(os.listdir("/dev/pts"))
    found = looked(reader, dict.fromkeys([*places, str(tmp_path / "ca.pem")]))
    assert {path: file.content for path, file in found.files.items()} == {str(tmp_path / "ca.pem"): b"authority"}
    assert set(found.faults) == set(places)
    assert found.faults["/dev/ptmx"] == "it is no regular file"
    assert len(os.listdir("/dev/pts")) == terminals  # opening the device alone would have made one


def test_a_file_is_bounded_whatever_its_size_says(reader, tmp_path):
    (tmp_path / "large").write_bytes(bytes(MAX_FILE + 1))
    found = looked(reader, {str(tmp_path / "large"): None})
    assert found.faults == {str(tmp_path / "large"): f"it is larger than {MAX_FILE} bytes"}


def test_all_files_together_are_bounded(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_TOTAL", 25)
    monkeypatch.setattr(files, "MAX_FILES", 3)
    for name in "abcd":
        (tmp_path / name).write_bytes(b"x" * 10)
    found = looked(reader, {str(tmp_path / name): None for name in "abcd"})
    assert [path[-1] for path in found.files] == ["a", "b"]
    assert "more than 25 bytes together" in found.faults[str(tmp_path / "c")]
    monkeypatch.setattr(files, "MAX_TOTAL", 1000)
    assert (
        "more than 3 files" in looked(reader, {str(tmp_path / name): None for name in "abcd"}).faults[f"{tmp_path}/d"]
    )


def test_spellings_of_one_file_are_one_file(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 1)
    (tmp_path / "ca.pem").write_bytes(b"x" * MAX_FILE)
    (tmp_path / "link").symlink_to("ca.pem")
    spellings = [f"{tmp_path}{'/' * count}ca.pem" for count in range(1, 100)] + [f"{tmp_path}/link"]
    tracemalloc.start()
    found = looked(reader, dict.fromkeys(spellings))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(found.files) == set(spellings) and used < 3 * MAX_FILE


def test_nothing_outside_of_its_folders_is_read(reader, tmp_path):
    (tmp_path / "allowed").mkdir()
    (tmp_path / "key").write_text("private")
    (tmp_path / "allowed" / "key").symlink_to(tmp_path / "key")
    folders = (str(tmp_path / "allowed"),)
    found = looked(reader, {str(tmp_path / "key"): folders, str(tmp_path / "allowed/key"): folders})
    assert not found.files
    assert found.faults[str(tmp_path / "allowed/key")] == "a link leads out of its folder"


def test_what_has_not_changed_is_not_read_again(reader, tmp_path):
    path = str(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("one")
    first = looked(reader, {path: None}).files[path]
    assert looked(reader, {path: None}, {path: first}).files[path] is first
    (tmp_path / "new").write_text("two")
    os.replace(tmp_path / "new", path)
    assert looked(reader, {path: None}, {path: first}).files[path].content == b"two"


def test_a_file_that_does_not_answer_costs_no_other_file(tmp_path, monkeypatch):
    (tmp_path / "a-share").write_text("never")
    (tmp_path / "ca.pem").write_text("authority")
    answers, plain, now = threading.Event(), files.content_of, [0.0]

    def content_of(fd):
        if os.readlink(f"/proc/self/fd/{fd}").endswith("a-share"):
            answers.wait()  # as a network share whose server is gone
        return plain(fd)

    monkeypatch.setattr(files, "content_of", content_of)
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    reader = FileReader(lambda: now[0])
    wanted = dict.fromkeys([str(tmp_path / "a-share"), str(tmp_path / "ca.pem")])
    assert reader.look(wanted, {}) is None
    assert reader.look(wanted, {}) is None  # and it does not wait again
    now[0] = files.LIMIT + 1
    found = looked(reader, wanted)
    assert set(found.files) == {str(tmp_path / "ca.pem")}
    assert "does not answer" in found.faults[str(tmp_path / "a-share")]
    answers.set()
    for thread in threading.enumerate():
        if thread.name == "files":
            thread.join()
    assert set(looked(reader, wanted).files) == set(wanted)


def test_threads_that_wait_are_bounded(tmp_path, monkeypatch):
    answers, now = threading.Event(), [0.0]
    monkeypatch.setattr(files, "content_of", lambda fd: answers.wait() and b"")
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    reader = FileReader(lambda: now[0])
    for number in range(20):
        (tmp_path / f"{number:02}").write_text("x")
    wanted = {str(tmp_path / f"{number:02}"): None for number in range(20)}
    try:
        for _ in range(60):
            reader.look(wanted, {})
            now[0] += files.LIMIT + 1
        waiting = [thread for thread in threading.enumerate() if thread.name == "files"]
        assert len(waiting) == files.MAX_STUCK
    finally:
        answers.set()
