import pytest

from nodemesh.registry.sources.watch import ApiFormatError, Lines, read_event, read_head, read_page

STREAM = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n\n{"type":"DELETED","object":{}}\n{"type"'


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_lines_come_out_the_same_however_the_stream_is_cut(size):
    lines = Lines()
    found = [line for at in range(0, len(STREAM), size) for line in lines.feed(STREAM[at : at + size])]
    assert [read_event(line).type for line in found] == ["ADDED", "DELETED"]


def test_a_line_without_end_is_refused():
    lines = Lines(limit=10)
    assert lines.feed(b"12345\n12345") == [b"12345"]
    with pytest.raises(ApiFormatError, match="more than 10 bytes"):
        lines.feed(b"678901")


def test_objects_stay_undecoded_but_for_their_names():
    event = read_event(b'{"type":"ADDED","object":{"metadata":{"name":"a","managedFields":[{}]},"spec":{}}}')
    assert read_head(event.object).metadata.name == "a"


def test_a_page_tells_how_it_goes_on():
    page = read_page(b'{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x"},"items":[{},{}]}')
    assert (page.metadata.resource_version, page.metadata.next, len(page.items or ())) == ("7", "x", 2)
    assert read_page(b'{"metadata":{},"items":null}').items is None


def test_what_is_not_the_format_is_told():
    with pytest.raises(ApiFormatError, match="is not a list"):
        read_page(b"<html>")
