"""Memory goes back to the system where much of it was freed."""

from __future__ import annotations

import json
import subprocess
import sys

from nodemesh.proxy.gate import Account
from nodemesh.proxy.io.memory import WORTH, Allocator


def test_the_allocator_is_asked_once_for_what_was_freed():
    allocator, buffers = Allocator(), Account()
    buffers.change_held(2 * WORTH)
    allocator.look(buffers)
    assert allocator.trims == 0, "it is all in use"
    buffers.change_held(-WORTH + 1)
    allocator.look(buffers)
    assert allocator.trims == 0, "too little"
    buffers.change_held(-1)
    allocator.look(buffers)
    allocator.look(buffers)
    assert allocator.trims == 1


#: Fills the heap, then frees all but what lies at its end.
SCRIPT = """
import json
from nodemesh.proxy.gate import Account
from nodemesh.proxy.io.memory import Allocator

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

allocator, buffers = Allocator(), Account()
before = resident()
kept = [bytes(40_000) for _ in range(2500)]
last = bytes(40_000)
buffers.change_held(100_000_000)
full = resident() - before
kept.clear()
buffers.change_held(-100_000_000)
freed = resident() - before
allocator.look(buffers)
print(json.dumps([full, freed, resident() - before]))
"""


def test_what_was_freed_goes_back():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    full, freed, after = json.loads(ended.stdout)
    assert full > 50_000_000 and freed > 50_000_000, "the C library keeps it"
    assert after < 10_000_000
