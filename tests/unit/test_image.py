"""The image's parts that need neither root nor packages: what it says of itself, and that it says the same twice."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from hashlib import sha256

import pytest
from tests.wheels import ROOT

IMAGE = ROOT / "manifests" / "image"


def run(script, *arguments, **environment):
    return subprocess.run(
        [sys.executable, IMAGE / script, *arguments],
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def image(tmp_path):
    root = tmp_path / "root"
    packages = root / "usr/local/lib/nodemesh"
    for folder in (root / "var/lib/dpkg/status.d", packages / "Some_Thing-1.0.dist-info", root / "bin"):
        folder.mkdir(parents=True)
    (root / "var/lib/dpkg/status.d/libc6").write_text("Package: libc6\nVersion: 2.36-9+deb12u1\nArchitecture: amd64\n")
    (packages / "Some_Thing-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.0\n"
    )
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "bin/link").symlink_to("tool")
    return root


@pytest.fixture
def assemble(tmp_path):
    """The script in a checkout of its own, whose steps only say that they run."""
    folder = tmp_path / "manifests" / "image"
    folder.mkdir(parents=True)
    shutil.copy(IMAGE / "assemble", folder)
    for step, does in (("build", ":"), ("install", 'mkdir -p "$2"')):
        (folder / step).write_text(f"#!/bin/sh\necho {step} >&2\n{does}\n")
        (folder / step).chmod(0o755)
    (folder / "pack").write_text("import sys\nopen(sys.argv[2], 'w')\nprint('pack', file=sys.stderr)\n")

    def run(*arguments):
        command = [folder / "assemble", tmp_path / "made", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stderr.split()

    return run


def test_the_image_is_made_whenever_it_is_asked_for_and_for_a_command_once(assemble):
    """What is there from before may be of other sources."""
    steps = ["build", "install", "pack"]
    assert [assemble(), assemble()] == [steps, steps]
    assert "build" not in assemble("true")


def test_the_bill_of_materials_names_debians_packages_and_pythons(image):
    first, second = (run("sbom", image) for _ in range(2))
    assert first.stdout == second.stdout, first.stderr
    said = json.loads(first.stdout)
    assert said["spdxVersion"] == "SPDX-2.3" and said["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert [one["externalRefs"][0]["referenceLocator"] for one in said["packages"]] == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64",
        "pkg:pypi/some-thing@1.0",
    ]
    described = {one["relatedSpdxElement"] for one in said["relationships"]}
    assert described == {one["SPDXID"] for one in said["packages"]}


def test_the_same_files_make_the_same_image_whenever_and_by_whomever_they_were_made(image, tmp_path):
    first = run("pack", image, tmp_path / "first.tar")
    copied = shutil.copytree(image, tmp_path / "copy", symlinks=True)
    os.utime(copied / "bin/tool", (1, 1))
    second = run("pack", copied, tmp_path / "second.tar")
    assert first.stdout == second.stdout != "", first.stderr
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    (copied / "bin/tool").chmod(0o644)
    assert run("pack", copied, tmp_path / "third.tar").stdout != first.stdout


def test_what_is_packed_is_an_image(image, tmp_path):
    """Each blob's name is its digest, and the layer has the files."""
    digest = run("pack", image, tmp_path / "image.tar").stdout.strip()
    with tarfile.open(tmp_path / "image.tar") as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    index = json.loads(files["index.json"])
    assert index["manifests"][0]["digest"] == digest
    blobs = {name: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(name == f"blobs/sha256/{sha256(data).hexdigest()}" for name, data in blobs.items())
    manifest = json.loads(blobs[f"blobs/sha256/{digest.removeprefix('sha256:')}"])
    config, (layer,) = manifest["config"], manifest["layers"]
    assert all(len(blobs[f"blobs/sha256/{one['digest'][7:]}"]) == one["size"] for one in (config, layer))
    said = json.loads(blobs[f"blobs/sha256/{config['digest'][7:]}"])
    assert said["config"]["Entrypoint"] == ["/usr/local/bin/nodemesh"]
    (tmp_path / "layer").write_bytes(blobs[f"blobs/sha256/{layer['digest'][7:]}"])
    with tarfile.open(tmp_path / "layer") as tar:
        tool, link = tar.getmember("bin/tool"), tar.getmember("bin/link")
    assert (tool.mode & 0o777, tool.uid, tool.mtime) == (0o755, 0, 1700000000)
    assert link.linkname == "tool"


def test_a_library_that_is_needed_and_not_there_is_named(image):
    assert run("check", image).returncode == 0
    shutil.copy(os.path.realpath("/usr/bin/true"), image / "bin/true")
    lacking = run("check", image)
    assert lacking.returncode == 1
    assert "the image lacks libc.so.6, which bin/true needs" in lacking.stderr
    (image / "bin/libc.so.6").write_text("")
    assert run("check", image).returncode == 0
