"""What of a request's fields is recorded; all else is in the playbooks."""

from nodemesh.proxy.http.records import chosen


class NotCounted(set):
    def __iter__(self):
        raise AssertionError("what others want is gone through for each request")


def test_the_fields_that_are_wanted():
    headers = {b"a": b"1", b"b": b"2"}
    assert chosen(headers, {b"b"}) == chosen(headers, {b"b", b"c", b"d"}) == {b"b": b"2"}


def test_what_many_namespaces_want_costs_a_request_nothing():
    assert chosen({b"5": b"2", b"x": b"1"}, NotCounted(b"%d" % number for number in range(10_000))) == {b"5": b"2"}
