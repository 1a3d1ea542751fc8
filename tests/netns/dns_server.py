"""The cluster's DNS server of the tests: `python dns_server.py NAME RECORDS ADDRESS...`, with RECORDS as JSON, name ->
addresses. Knows some names more, each for one trait of real servers."""

import json
import selectors
import socket
import sys
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

NAME, RECORDS, *ADDRESSES = sys.argv[1:]
RECORDS = json.loads(RECORDS)


def answer_to(query, peer):
    """The messages to send back."""
    response = dns.message.make_response(query, recursion_available=True)
    question = response.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(question.rdtype)
    if name == "silent.test":
        return []
    if name == "slow.test":
        time.sleep(0.2)
    if name == "truncated.test":
        response.flags |= dns.flags.TC
    elif name == "whoami.test":
        response.answer.append(dns.rrset.from_text(question.name, 5, "IN", "TXT", f"{NAME} {peer[0]} {peer[1]}"))
    elif name == "big.test":
        response.answer.append(
            dns.rrset.from_text_list(question.name, 5, "IN", "TXT", [f"{n:0200}" for n in range(10)])
        )
    elif name in RECORDS or name == "slow.test":
        found = [one for one in RECORDS.get(name, ["192.0.2.1"]) if (":" in one) == (kind == "AAAA")]
        if found and kind in ("A", "AAAA"):
            response.answer.append(dns.rrset.from_text_list(question.name, 5, "IN", kind, found))
    elif name != "spoofed.test":
        response.set_rcode(dns.rcode.NXDOMAIN)
    if name != "spoofed.test":
        size = max(512, query.payload if query.edns >= 0 else 0)
        return [response.to_wire(max_size=size, prefer_truncation=True)]
    messages = []
    for address, change in (("203.0.113.66", 1), ("203.0.113.67", 0), ("192.0.2.1", 0)):
        told = dns.message.make_response(query)
        told.id = (query.id + change) & 0xFFFF
        if address == "203.0.113.67":
            told.question = dns.message.make_query("other.test", "A").question
        told.answer.append(dns.rrset.from_text(told.question[0].name, 5, "IN", "A", address))
        messages.append(told.to_wire())
    return messages


selector = selectors.DefaultSelector()
for address in ADDRESSES:
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    selector.register(server, selectors.EVENT_READ)
print("up", flush=True)
while True:
    for key, _ in selector.select():
        data, peer = key.fileobj.recvfrom(65535)
        for message in answer_to(dns.message.from_wire(data), peer):
            key.fileobj.sendto(message, peer)
