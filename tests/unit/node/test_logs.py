import logging

from nodemesh.node.logs import Log, quoted


def test_a_line_is_a_message_and_its_fields(caplog):
    with caplog.at_level(logging.INFO):
        Log("test").info("pod enrolled", pod="default/a", why="it is new")
    assert caplog.messages == ['pod enrolled pod=default/a why="it is new"']


def test_only_what_needs_quotes_has_them():
    assert (quoted("a"), quoted("a b"), quoted("")) == ("a", '"a b"', '""')
