"""The DNS codec (RFC 1035, EDNS of RFC 6891): what a query asks for, answers of the mesh's own, and whether an answer
belongs to a query. Messages that are only passed on are not taken apart further than that."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

#: Seconds that the mesh's own answers hold, as Istio's: addresses may change with the configuration.
TTL: Final = 30

#: What every client can take (RFC 1035), and what we say that we can (DNS flag day 2020).
PLAIN_SIZE: Final = 512
OUR_SIZE: Final = 1232

HEADER: Final = struct.Struct("!HHHHHH")
KIND: Final = struct.Struct("!HH")
RESPONSE: Final = 0x8000
OPCODE: Final = 0x7800
CODE: Final = 0x000F

IPV4: Final = 4
IPV6: Final = 6


class DnsFormatError(Exception):
    """A query that no server could read; the client is told so (FORMERR)."""


class Query:
    """The part of a query that decides what becomes of it. `family` is that of the addresses that are asked for, 0
    where it asks for something else; `name` is in lower case, without the dot at its end; `question` as it stands in
    the message."""

    __slots__ = ("number", "name", "family", "question")

    def __init__(self, number: int, name: str, family: int, question: bytes) -> None:
        self.number = number
        self.name = name
        self.family = family
        self.question = question


def read_query(wire: bytes) -> Query | None:
    """None for what is no query at all and gets no answer. Raises DnsFormatError."""
    if len(wire) < HEADER.size:
        return None
    number, flags, questions, _, _, _ = HEADER.unpack_from(wire)
    if flags & RESPONSE:
        return None
    if flags & OPCODE or questions != 1:  # for the server to judge
        return Query(number, "", 0, b"")
    try:
        name, length = dns.name.from_wire(wire, HEADER.size)
        kind, class_ = KIND.unpack_from(wire, HEADER.size + length)
    except (dns.exception.DNSException, struct.error, ValueError, IndexError):
        raise DnsFormatError from None
    question = wire[HEADER.size : HEADER.size + length + KIND.size]
    family = 0
    if class_ == dns.rdataclass.IN:
        family = IPV4 if kind == dns.rdatatype.A else IPV6 if kind == dns.rdatatype.AAAA else 0
    return Query(number, text_of(name), family, question)


def text_of(name: dns.name.Name) -> str:
    """Empty where the name is none that a host could have."""
    labels = name.labels[:-1]
    if any(label.find(b".") >= 0 or not label.isascii() for label in labels):
        return ""
    return b".".join(labels).lower().decode("ascii")


def answer_with(wire: bytes, addresses: Sequence[str], alias: str) -> bytes:
    """The answer to a query for addresses: these (none: the name exists, but not in this family), under the name that
    was asked for or the alias behind it. As many as the client can take, then with the flag that tells it to ask by
    TCP. Raises DnsFormatError."""
    try:
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query, recursion_available=True, our_payload=OUR_SIZE)
    except (dns.exception.DNSException, ValueError):
        raise DnsFormatError from None
    response.flags |= dns.flags.AA
    question = response.question[0]
    owner = question.name
    if alias and addresses:
        owner = dns.name.from_text(alias)
        cname = CNAME(dns.rdataclass.IN, dns.rdatatype.CNAME, owner)
        response.answer.append(dns.rrset.from_rdata_list(question.name, TTL, [cname]))
    size = max(PLAIN_SIZE, query.payload if query.edns >= 0 else 0)
    before = list(response.answer)
    count = len(addresses)
    while True:
        if count:
            records = [record_of(address) for address in addresses[:count]]
            response.answer = [*before, dns.rrset.from_rdata_list(owner, TTL, records)]
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            response.flags |= dns.flags.TC
            response.answer = before
            count //= 2


def record_of(address: str) -> dns.rdata.Rdata:
    if ":" in address:
        return AAAA(dns.rdataclass.IN, dns.rdatatype.AAAA, address)
    return A(dns.rdataclass.IN, dns.rdatatype.A, address)


def failure_of(wire: bytes, code: int) -> bytes:
    """An answer that says no more than that it failed; made of the header alone, whatever follows."""
    number, flags, _, _, _, _ = HEADER.unpack_from(wire)
    kept = flags & (OPCODE | dns.flags.RD)
    return HEADER.pack(number, RESPONSE | kept | dns.flags.RA | code, 0, 0, 0, 0)


FORMAT_ERROR: Final = int(dns.rcode.FORMERR)
SERVER_FAILURE: Final = int(dns.rcode.SERVFAIL)


def with_number(wire: bytes, number: int) -> bytes:
    """The message under another number (its id)."""
    return number.to_bytes(2, "big") + wire[2:]


def answers(wire: bytes, number: int, question: bytes) -> bool:
    """Whether a message is the answer to the query with that number and question. Servers that cannot read a query may
    leave its question out."""
    if len(wire) < HEADER.size:
        return False
    found, flags, questions, _, _, _ = HEADER.unpack_from(wire)
    if found != number or not flags & RESPONSE:
        return False
    if not question or not questions:
        return not question or flags & CODE != 0
    return wire[HEADER.size : HEADER.size + len(question)].lower() == question.lower()
