"""Instructions and the maps that they name, kept by what they were made from."""

import os

import pytest

from nodemesh.datapath import bytecode
from nodemesh.datapath.bytecode import INSTRUCTION, LOAD_64, Bytecode, BytecodeError, link

RETURN = INSTRUCTION.pack(0x95, 0, 0, 0)


def load_64(source, value):
    return INSTRUCTION.pack(LOAD_64, source << 4 | 1, 0, value) + INSTRUCTION.pack(0, 0, 0, 0)


def test_maps_are_named_whatever_their_descriptors():
    code = link({"f": load_64(1, 40) + load_64(1, 30) + load_64(1, 40) + RETURN}, {30: "pods", 40: "flows", 50: "pods"})
    assert code.maps == ["flows", "pods"]
    assert list(code.references("f")) == [(0, "flows"), (16, "pods"), (32, "flows")]
    assert code.instructions("f", {"flows": 7, "pods": 8}) == load_64(1, 7) + load_64(1, 8) + load_64(1, 7) + RETURN


def test_constants_are_no_maps_even_where_they_look_like_one():
    looks = INSTRUCTION.pack(LOAD_64, 1, 0, 3) + INSTRUCTION.pack(LOAD_64, 0x11, 0, 40)
    code = link({"f": looks + RETURN}, {40: "flows"})
    assert list(code.references("f")) == []
    assert code.instructions("f", {"flows": 7}) == looks + RETURN


@pytest.mark.parametrize("raw", [load_64(2, 0), INSTRUCTION.pack(bytecode.CALL, 1 << 4, 0, 5)])
def test_what_takes_a_linker_is_refused(raw):
    with pytest.raises(BytecodeError, match="linker"):
        link({"f": raw + RETURN}, {})


def test_a_map_without_a_name_is_refused():
    with pytest.raises(BytecodeError, match="no name"):
        link({"f": load_64(1, 9) + RETURN}, {30: "pods"})


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "bpf" / "include").mkdir(parents=True)
    for name in ("one.bpf.c", "two.bpf.c", "include/types.h"):
        (tmp_path / "bpf" / name).write_text(name)
    return tmp_path / "bpf"


def test_the_key_is_of_sources_and_options_and_of_nothing_else(sources, tmp_path):
    key = bytecode.key(sources, ["two", "one"], {"A": 1})
    moved = sources.rename(tmp_path / "elsewhere")
    assert bytecode.key(moved, ["one", "two"], {"A": 1}) == key
    others = [bytecode.key(moved, ["one"], {"A": 1}), bytecode.key(moved, ["one", "two"], {})]
    for name in ("one.bpf.c", "include/types.h"):
        before = (moved / name).read_text()
        (moved / name).write_text("newer")
        others.append(bytecode.key(moved, ["one", "two"], {"A": 1}))
        (moved / name).write_text(before)
    assert len({key, *others}) == 5


def test_what_is_kept_is_found_and_the_oldest_make_room(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = Bytecode(["pods"], {"f": RETURN})
    assert bytecode.find(sources, "0") is None
    for number in range(bytecode.KEPT + 2):
        bytecode.keep(str(number), code)
        os.utime(bytecode.cache() / str(number), (number, number))
    assert bytecode.find(sources, "1") is None
    assert bytecode.find(sources, str(bytecode.KEPT + 1)) == code


def test_what_others_may_have_written_or_is_broken_is_not_there(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bytecode.keep("a", Bytecode([], {"f": RETURN}))
    path = bytecode.cache() / "a"
    path.chmod(0o664)
    assert bytecode.find(sources, "a") is None
    path.chmod(0o644)
    assert bytecode.find(sources, "a") is not None
    path.parent.chmod(0o777)
    assert bytecode.find(sources, "a") is None
    path.parent.chmod(0o755)
    path.write_bytes(path.read_bytes()[:-1])
    assert bytecode.find(sources, "a") is None


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bytecode.keep("a", Bytecode([], {}))
    assert (tmp_path / "file").read_text() == "" and list(tmp_path.iterdir()) == [tmp_path / "file"]
