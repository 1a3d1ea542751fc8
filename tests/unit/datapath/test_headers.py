"""The stub header tree, made from a folder that stands for /usr/include."""

import platform

import pytest

from nodemesh.datapath.headers import HeadersMissing, cached_tree, make_tree


@pytest.fixture
def user_headers(tmp_path):
    """A multiarch layout, as Debian has it."""
    root = tmp_path / "usr"
    for name in ("linux", "asm-generic", f"{platform.machine()}-linux-gnu/asm"):
        (root / name).mkdir(parents=True)
        (root / name / "types.h").write_text("")
    (root / "linux" / "bpf.h").write_text("#error the headers' own")
    return root


def test_the_tree_has_what_bcc_asks_for_and_an_empty_bpf_h(user_headers, tmp_path):
    """RC-27."""
    tree = make_tree(tmp_path / "tree", user_headers)
    assert (tree / "include/uapi/linux/bpf.h").read_text() == ""
    assert "CONFIG_BPF_SYSCALL" in (tree / "include/linux/kconfig.h").read_text()
    for name in ("uapi/linux/types.h", "uapi/asm/types.h", "uapi/asm-generic/types.h", "linux/types.h"):
        assert (tree / "include" / name).is_file()


def test_an_architectures_headers_may_stand_without_a_triplet(user_headers, tmp_path):
    (user_headers / f"{platform.machine()}-linux-gnu" / "asm").rename(user_headers / "asm")
    (user_headers / f"{platform.machine()}-linux-gnu").rmdir()
    assert (make_tree(tmp_path / "tree", user_headers) / "include/uapi/asm/types.h").is_file()


def test_missing_headers_name_the_package(tmp_path):
    with pytest.raises(HeadersMissing, match="install linux-libc-dev"):
        make_tree(tmp_path / "tree", tmp_path / "absent")


def test_a_read_only_cache_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tree = cached_tree()
    assert tree.parent == tmp_path
    assert (tree / "include/linux/kconfig.h").is_file()


def test_the_cached_tree_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tree = cached_tree()
    assert (tree / "include/linux/kconfig.h").is_file()
    (tree / "mark").touch()
    assert cached_tree() == tree
    assert (tree / "mark").exists()
    assert [path.name for path in (tmp_path / "nodemesh").iterdir()] == [tree.name]
