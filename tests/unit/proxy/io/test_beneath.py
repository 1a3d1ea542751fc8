"""No spelling and no link leads out of an allowed folder."""

import os

import pytest

from nodemesh.proxy.io.beneath import find


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("key")
    folder = tmp_path / "allowed"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "ca.pem").write_text("authority")
    (folder / "ca.pem").symlink_to("..data/ca.pem")  # as a Secret volume has it
    (folder / "up").symlink_to("../secret")
    (folder / "away").symlink_to(tmp_path / "secret")
    (folder / "root").symlink_to("/proc/self/root")
    (folder / "open").symlink_to(f"/proc/{os.getpid()}/cwd")
    return folder


def content(place: str, folders: tuple[str, ...] | None) -> str:
    fd = find(place, folders)
    try:
        with open(f"/proc/self/fd/{fd}") as file:
            return file.read()
    finally:
        os.close(fd)


@pytest.mark.parametrize("spelling", ["/ca.pem", "//ca.pem", "/./ca.pem", "/..data/ca.pem"])
def test_what_lies_below_the_folder_is_found_links_within_it_included(folder, spelling):
    assert content(f"{folder}{spelling}", ("/nowhere", str(folder))) == "authority"


@pytest.mark.parametrize(
    "spelling",
    ["/up", "/away", "/../secret", "/..data/../../secret", "/root/etc/passwd", "/open/x", "", "/", "/absent", "/\0"],
)
def test_nothing_leads_out_of_it(folder, spelling):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        find(f"{folder}{spelling}", (str(folder),))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("place", ["/etc/passwd", "//etc/passwd", "/proc/self/root/etc/passwd", "etc/passwd"])
def test_without_folders_nothing_is_found_and_with_all_of_them_everything(folder, place):
    with pytest.raises(OSError, match="allowedFolders"):
        find(place, ())
    assert content(str(folder / "away"), None) == "key"
