"""When a client's connection is closed for what does not come."""

import pytest

from nodemesh.proxy.http1.patience import CLOSE, DROP, HEAD_TIMEOUT, IDLE_TIMEOUT, REFUSE, WAIT, verdict


@pytest.mark.parametrize(
    ("waited", "found"),
    [
        (HEAD_TIMEOUT - 1, {"": WAIT, "owed": WAIT, "head": WAIT, "body": WAIT, "busy": WAIT}),
        (HEAD_TIMEOUT, {"": WAIT, "owed": CLOSE, "head": REFUSE, "body": WAIT, "busy": WAIT}),
        (IDLE_TIMEOUT, {"": CLOSE, "owed": CLOSE, "head": REFUSE, "body": DROP, "busy": WAIT}),
    ],
)
def test_what_is_owed_decides(waited, found):
    for case, expected in found.items():
        got = verdict(
            waited, owed=case == "owed", in_head=case == "head", in_body=case == "body", busy=case in ("busy", "body")
        )
        assert got == expected, case


def test_a_head_that_has_begun_is_answered_whoever_sends_it():
    assert verdict(HEAD_TIMEOUT, owed=True, in_head=True, in_body=False, busy=False) == REFUSE
