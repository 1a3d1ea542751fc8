"""What a tenant's header value shows of the agent's environment."""

import pytest

from nodemesh.proxy.http.environment import allow, variable


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setenv("CLUSTER", "west")
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.delenv("ABSENT", raising=False)
    yield
    allow(())


def test_nothing_but_what_is_listed():
    assert variable(b"CLUSTER") == variable(b"PATH") == b""
    allow(("CLUSTER", "ABSENT"))
    names = (b"CLUSTER", b"TOKEN", b"ABSENT", b"PATH", b"cluster", b"CLUSTER ", b"")
    assert [variable(name) for name in names] == [b"west", *[b""] * 6]


def test_what_is_listed_no_more_is_shown_no_more():
    allow(("CLUSTER", "TOKEN"))
    allow(("TOKEN",))
    assert (variable(b"CLUSTER"), variable(b"TOKEN")) == (b"", b"secret")
