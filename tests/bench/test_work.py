"""A request and a relayed connection are no more work than what is kept of them: counts, which no clock moves."""

from pathlib import Path

from tests.bench import work, work_job


def test_nothing_has_become_more_work(tmp_path: Path):
    counts = work.counted(tmp_path)
    assert set(counts) == {work_job.HTTP, work_job.RELAYED}
    assert all(set(kinds) == {"calls", "allocations", "system calls"} for kinds in counts.values())
    assert work.growth(counts, work.read()) == []


def test_one_call_in_a_hundred_is_noticed_and_less_is_fine():
    known = {"P 1": {"plain": {"request": {"calls": 100.0, "system calls": 6.0}}}}

    def told(python: str = "P 1", **kinds: float) -> list[str]:
        return work.growth(
            {"request": {name.replace("_", " "): count for name, count in kinds.items()}}, known, python, "plain"
        )

    assert told(calls=102.0, system_calls=6.0) == told(calls=50.0) == []
    (said,) = told(calls=103.0)
    assert "103 calls, 100 are kept (at most 2% more)" in said
    (said,) = told(system_calls=7.0)
    assert "7 system calls, 6 are kept" in said
    assert told("P 2", calls=120.0) == [] and len(told("P 2", calls=130.0)) == 1
    assert work.growth({"request": {"calls": 124.0}}, known, "P 1", "compiled") == []
    assert len(work.growth({"request": {"calls": 126.0}}, known, "P 1", "compiled")) == 1
    assert len(work.growth({"request": {"calls": 1.0}}, {}, "P 1", "plain")) == 1


def test_what_is_kept_is_kept_by_python_and_by_build(tmp_path: Path):
    path = tmp_path / "work.json"
    assert work.read(path) == {}
    work.keep({"request": {"calls": 1.0}}, path, "P 1", "plain")
    work.keep({"request": {"calls": 2.0}}, path, "P 1", "compiled")
    assert work.read(path) == {"P 1": {"plain": {"request": {"calls": 1.0}}, "compiled": {"request": {"calls": 2.0}}}}


def test_only_what_the_loop_asks_of_the_kernel_counts():
    lines = [
        'openat(AT_FDCWD, "x") = 3',
        f'write(-1, "{work_job.BEGIN}", 19) = -1 EBADF',
        "epoll_wait(4, [], 256, 250) = 1",
        '12  recvfrom(7, "x", 100, 0, NULL, NULL) = 1',
        f'write(-1, "{work_job.END}", 17) = -1 EBADF',
        "poll([{fd=3}], 1, 0) = 0",
        f'write(-1, "{work_job.DONE}", 18) = -1 EBADF',
        f'write(-1, "{work_job.BEGIN}", 19) = -1 EBADF',
        'write(9, "log", 3) = 3',
        f'write(-1, "{work_job.END}", 17) = -1 EBADF',
        f'write(-1, "{work_job.DONE}", 18) = -1 EBADF',
    ]
    assert list(work.marked(lines)) == [{"epoll_wait": 1, "recvfrom": 1}, {"write": 1}]
