"""Apps of a lab's pod without a start each: a Python that has started in the pod forks one for each piece of code."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from functools import cache

from nodemesh.lab.place import ProcessPlace

#: Seconds that either side waits for the other: a machine that is busy, or interpreted, takes long.
PATIENCE = 90.0

#: Takes [code, *arguments] with the ends of two sockets: one is the app's input and output, the other hears "" when the
#: code has ended, or why it failed, and nothing if the app was killed. Answers with the app's pid. What apps import is
#: imported before.
_FORKS = """
import ctypes, errno, json, os, select, selectors, signal, socket, struct, sys, threading, traceback
orders = socket.socket(fileno=int(sys.argv[1]))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
while True:
    order, fds, _, _ = socket.recv_fds(orders, 65536, 2)
    if not order:
        break
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        orders.close()
        for number in (0, 1):
            os.dup2(fds[0], number)
        os.close(fds[0])
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
        code, *sys.argv[1:] = json.loads(order)
        failure = ""
        try:
            exec(compile(code, "app", "exec"), {"__name__": "__main__"})
            sys.stdout.flush()
        except BaseException:
            failure = traceback.format_exc()
        os.write(fds[1], b"ended" + failure.encode())
        os._exit(0)
    for fd in fds:
        os.close(fd)
    orders.send(b"%d" % pid)
"""


class App:
    """An app that runs `code`; `stdin` and `stdout` are its own, as of subprocess.Popen."""

    def __init__(self, pid: int, stream: socket.socket, end: socket.socket) -> None:
        self.pid = pid
        self._stream = stream
        self._end = end
        stream.settimeout(PATIENCE)
        end.settimeout(PATIENCE)
        self.stdin, self.stdout = stream.makefile("w"), stream.makefile("r")

    def finish(self) -> str:
        """What else it prints until it ends. An app that fails has the test fail."""
        self._stream.shutdown(socket.SHUT_WR)
        printed = self.stdout.read()
        said = self._end.recv(65536).decode()
        self._close()
        assert said == "ended", said.removeprefix("ended") or "the app was killed"
        return printed

    def kill(self) -> None:
        """It ends now, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)
        self._end.recv(65536)
        self._close()

    def _close(self) -> None:
        for one in (self.stdin, self.stdout, self._stream, self._end):
            one.close()


class Forks:
    """The Python of one pod."""

    def __init__(self, pod: ProcessPlace) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.settimeout(PATIENCE)
        with theirs:
            descriptor = theirs.fileno()
            pod.popen([sys.executable, "-IS", "-c", _FORKS, str(descriptor)], pass_fds=[descriptor])

    def start(self, code: str, *arguments: str) -> App:
        stream, its_stream = socket.socketpair()
        end, its_end = socket.socketpair()
        with its_stream, its_end:
            order = json.dumps([code, *arguments]).encode()
            socket.send_fds(self._orders, [order], [its_stream.fileno(), its_end.fileno()])
        return App(int(self._orders.recv(99)), stream, end)


_forks = cache(Forks)  # a pod's ends with the pod, as all that was started there


def start(pod: ProcessPlace, code: str, *arguments: str) -> App:
    """Have an app of the pod run Python code, with `arguments` in sys.argv[1:]."""
    return _forks(pod).start(code, *arguments)


def run(pod: ProcessPlace, code: str, *arguments: str) -> str:
    """What it prints until it ends."""
    return start(pod, code, *arguments).finish()
