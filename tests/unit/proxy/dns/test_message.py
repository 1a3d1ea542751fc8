"""The codec against dnspython's own reading, and against whatever else may come."""

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.dns.message import (
    FORMAT_ERROR,
    DnsFormatError,
    answer_with,
    answers,
    failure_of,
    read_query,
    with_number,
)

labels = st.binary(min_size=1, max_size=20)
names = st.lists(labels, max_size=5).map(lambda found: dns.name.Name([*found, b""]))


def query(name="web.default", kind="A", **more):
    return dns.message.make_query(name, kind, **more).to_wire()


def told(wire):
    return dns.message.from_wire(wire)


@pytest.mark.parametrize(("kind", "family"), [("A", 4), ("AAAA", 6), ("TXT", 0), ("SRV", 0), ("HTTPS", 0)])
def test_what_is_asked_for(kind, family):
    wire = query("Web.Default.SVC", kind)
    found = read_query(wire)
    assert found is not None
    assert (found.name, found.family, found.number) == ("web.default.svc", family, told(wire).id)
    assert found.question == wire[12:]


def test_other_classes_and_operations_are_for_the_server():
    assert read_query(query(rdclass="CH")).family == 0
    update = bytearray(query())
    update[2] |= 0x28
    assert read_query(bytes(update)).family == 0
    twice = bytearray(query())
    twice[5] = 2
    assert read_query(bytes(twice)).family == 0


def test_names_that_no_host_has_are_for_the_server():
    for wire in (query(dns.name.Name([b"a.b", b"c", b""])), query(dns.name.Name([b"\xff", b""]))):
        assert read_query(wire).name == ""


def test_what_is_no_query_gets_no_answer():
    assert read_query(b"") is None
    assert read_query(query()[:11]) is None
    assert read_query(answer_with(query(), ["192.0.2.1"], "")) is None


@pytest.mark.parametrize(
    "wire", [query()[:12], query()[:-3], query()[:12] + b"\xc0\x0c\0\1\0\1", query()[:12] + b"\x7f"]
)
def test_what_cannot_be_read_is_told(wire):
    with pytest.raises(DnsFormatError):
        read_query(wire)
    answer = told(failure_of(wire, FORMAT_ERROR))
    assert (answer.rcode(), answer.id) == (dns.rcode.FORMERR, int.from_bytes(wire[:2], "big"))


def test_an_answer_has_the_name_as_it_was_asked_for():
    answer = told(answer_with(query("WeB.Default"), ["192.0.2.1", "192.0.2.2"], ""))
    assert answer.answer == [dns.rrset.from_text("WeB.Default.", 30, "IN", "A", "192.0.2.1", "192.0.2.2")]
    assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RA and answer.edns == -1
    assert answer.question[0].name.to_text() == "WeB.Default."


def test_a_name_without_addresses_in_the_family_exists_all_the_same():
    answer = told(answer_with(query("web", "AAAA"), [], "web.default"))
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


def test_an_alias_is_told_with_its_addresses():
    answer = told(answer_with(query("db.example.default.svc", "AAAA"), ["2001:db8::1"], "db.example"))
    assert [str(rrset) for rrset in answer.answer] == [
        "db.example.default.svc. 30 IN CNAME db.example.",
        "db.example. 30 IN AAAA 2001:db8::1",
    ]


@pytest.mark.parametrize(("payload", "size"), [(None, 512), (100, 512), (1232, 1232), (65535, 65535)])
def test_an_answer_is_as_long_as_the_client_can_take(payload, size):
    addresses = [f"10.{n // 250}.0.{n % 250}" for n in range(500)]
    wire = answer_with(query(payload=payload, use_edns=None if payload is None else 0), addresses, "")
    answer = told(wire)
    assert len(wire) <= size
    assert bool(answer.flags & dns.flags.TC) == (size < 8000)
    assert (len(answer.answer[0]) == 500) == (size > 8000) and len(answer.answer[0]) >= 15
    assert (answer.edns >= 0) == (payload is not None)


def test_an_answer_belongs_to_one_query():
    asked = query("web.test", id=7)
    question = read_query(asked).question
    good = dns.message.make_response(told(asked)).to_wire()
    assert answers(good, 7, question)
    assert answers(good.replace(b"web", b"WEB"), 7, question)
    assert not answers(good, 8, question)
    assert not answers(asked, 7, question), "a query is no answer"
    assert not answers(dns.message.make_response(told(query("other.test", id=7))).to_wire(), 7, question)
    assert not answers(dns.message.make_response(told(query("web.test", "AAAA", id=7))).to_wire(), 7, question)
    assert not answers(good[:20], 7, question)
    assert answers(failure_of(asked, 4), 7, question), "NOTIMP without the question"
    assert not answers(failure_of(asked, 0), 7, question)
    assert told(with_number(good, 99)).id == 99


@given(names, st.sampled_from(["A", "AAAA", "MX"]), st.integers(0, 65535))
def test_every_name_is_read_as_dnspython_reads_it(name, kind, number):
    try:
        wire = query(name, kind, id=number)
    except dns.name.NameTooLong:
        return
    found = read_query(wire)
    assert found.number == number
    hostlike = all(label.isascii() and b"." not in label for label in name.labels)
    assert found.name == (b".".join(name.labels[:-1]).lower().decode("ascii") if hostlike else "")
    if found.family:
        answer = told(answer_with(wire, ["192.0.2.1"] if found.family == 4 else ["2001:db8::1"], ""))
        assert answer.question[0].name.labels == name.labels


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(junk):
    read_any(junk)


@given(st.integers(0, 60), st.integers(0, 255), st.booleans())
def test_no_changed_byte_does_harm(place, value, edns):
    wire = bytearray(query("web.default.svc.cluster.local", use_edns=0 if edns else None))
    wire[place % len(wire)] = value
    read_any(bytes(wire))
    read_any(bytes(wire[:place]))


def read_any(wire):
    """As the nameserver does: the errors that it handles, and no others."""
    try:
        found = read_query(wire)
        if found is not None and found.family:
            assert len(answer_with(wire, ["192.0.2.1"], "")) <= 65535
    except DnsFormatError:
        failure_of(wire, FORMAT_ERROR)
    answers(wire, 7, b"\0\0\1\0\1")
