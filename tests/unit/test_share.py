"""What comes with the package beside its modules is found in a checkout, and named where it is missing."""

import pytest

from nodemesh import share


@pytest.mark.parametrize("name", ["bpf", "manifests", "manifests/demo/bookinfo"])
def test_a_checkout_has_it(name):
    assert share.folder(name).is_dir()


def test_the_packages_own_comes_first_and_what_is_missing_is_named(monkeypatch, tmp_path):
    for place in ("package", "checkout"):
        (tmp_path / place / "bpf").mkdir(parents=True)
    monkeypatch.setattr(share, "PLACES", (tmp_path / "package", tmp_path / "checkout"))
    assert share.folder("bpf") == tmp_path / "package" / "bpf"
    with pytest.raises(share.ShareMissing, match="package/manifests is missing: install nodemesh again"):
        share.folder("manifests")
