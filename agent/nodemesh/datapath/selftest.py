"""One redirected connection through the whole datapath, from a scratch namespace and cgroup: proof that it works here.

Run as a script it is the app of that test; it needs the standard library only."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ != "__main__":
    from . import namespaces
    from .attach import AttachError, attach, detach, steer
    from .heartbeat import Heartbeat
    from .maps import EntryMode, Maps, ServiceEntry, ServiceKey, pack_address
    from .origin import OriginalDestinations
    from .pins import Pins
    from .probes import ProbeResult, ProbeVerdict

#: What the app dials: TEST-NET-1 (RFC 5737), so that it can reach nobody; in a view of its own, so that no pod sees it.
DIALLED = ("192.0.2.1", 7)
VIEW = 2**32 - 1
_TIMEOUT = 5.0  # seconds, for each step
_GREETING = b"nodemesh"


def self_test(pins: Pins, cgroup_root: Path, beat: bool = False) -> ProbeResult:
    """Have a process in a cgroup of its own dial an address that only the maps know, and accept it as the proxy does.
    Needs a fresh heartbeat: the workers', or with `beat` (only where none run) one made here. Leaves nothing behind."""
    name = f"selftest-{os.getpid()}"
    cgroup = cgroup_root / f"nodemesh-{name}"
    began = time.monotonic()
    try:
        cgroup.mkdir()
        with Maps(pins) as maps:
            said = _test(pins, maps, name, cgroup, beat)
    except (OSError, AttachError, subprocess.SubprocessError) as error:
        said = str(error) or type(error).__name__
    finally:
        remove_cgroup(cgroup)
    if said:
        mend = "see which hook counts connections (nodemesh status), and the findings above"
        return ProbeResult("self-test", ProbeVerdict.FAILED, f"a test connection was not redirected ({said})", mend)
    took = (time.monotonic() - began) * 1e3
    return ProbeResult(
        "self-test", ProbeVerdict.OK, f"a test connection was redirected and recognised ({took:.0f} ms in all)"
    )


def _test(pins: Pins, maps: Maps, name: str, cgroup: Path, beat: bool) -> str:
    """What went wrong, or nothing."""
    command = [sys.executable, "-IS", __file__, str(cgroup), *map(str, DIALLED)]
    app = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    key = ServiceKey(VIEW, pack_address(DIALLED[0]), DIALLED[1]).pack()
    cookie = 0
    try:
        if app.stdout.readline() != "ready\n":
            return f"the test's process ended with status {app.wait(_TIMEOUT)}"
        netns = namespaces.netns_fd(app.pid)
        with closing_fd(netns), namespaces.open_listener(netns, "127.0.0.1", 0) as listener:
            cookie = namespaces.netns_cookie(listener)
            maps.set_listener(cookie, listener)
            maps.enrol(cookie, VIEW)
            maps["services"].update(key, ServiceEntry(EntryMode.PROXY).pack())
            steer(pins, name, netns, cookie)
            attach(pins, name, cgroup)
            if beat:
                Heartbeat(maps["heartbeats"].fd, 0).beat()
            return _accept(app, listener, OriginalDestinations(maps["flows"].fd))
    finally:
        app.kill()
        app.communicate()
        detach(pins, name)
        maps["services"].delete(key)
        if cookie:
            maps.withdraw(cookie)


def _accept(app: subprocess.Popen[str], listener: socket.socket, destinations: OriginalDestinations) -> str:
    assert app.stdin is not None and app.stdout is not None
    app.stdin.write("go\n")
    app.stdin.flush()
    ready, _, _ = select.select([listener.fileno(), app.stdout.fileno()], [], [], _TIMEOUT)
    if listener.fileno() not in ready:
        return f"the app got {app.stdout.readline().strip() if ready else 'no answer'}"
    accepted, peer = listener.accept()
    with accepted:
        dialled = destinations.take(accepted, peer)
        accepted.sendall(_GREETING)
        seen = app.stdout.readline().split()
    if dialled != DIALLED:
        return f"the proxy was told {dialled} instead of {DIALLED}"
    wanted = [_GREETING.decode(), DIALLED[0], str(DIALLED[1])]
    return "" if seen == wanted else f"the app saw {' '.join(seen)} instead of {' '.join(wanted)}"


@contextmanager
def closing_fd(fd: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(fd)


def remove_cgroup(cgroup: Path) -> None:
    """The test's process may still be on its way out."""
    deadline = time.monotonic() + _TIMEOUT
    while cgroup.is_dir() and time.monotonic() < deadline:
        try:
            cgroup.rmdir()
        except OSError:
            time.sleep(0.005)


def _app(cgroup: Path, address: str, port: int) -> None:
    """The app: joins the cgroup, makes a namespace with nothing but a loopback, dials when told to."""
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING; netdevice(7)
        fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        with socket.create_connection((address, port), timeout=4) as sock:
            print(sock.recv(99).decode(), *sock.getpeername(), flush=True)
    except OSError as error:
        print(error.strerror or "a timeout", flush=True)


if __name__ == "__main__":
    _app(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
