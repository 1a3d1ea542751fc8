"""Files and sockets of the agent's own file system, found below a folder without a way out of it (openat2)."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any, Final

from ...config.reach import beneath

#: openat2(2) has the same number on every architecture; Python has no call for it.
SYS_OPENAT2: Final = 437

#: linux/openat2.h: no link leads out of the folder, nor does one of /proc (Secret volumes are full of plain links).
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_BENEATH: Final = 0x08

_libc: Final[Any] = ctypes.CDLL(None, use_errno=True)


def find(place: str, folders: tuple[str, ...] | None) -> int:
    """A descriptor that names a file or socket and opens nothing (O_PATH). With folders it lies below one of them, and
    so does every link on the way; the kernel looks while it goes, so that nobody can exchange a link in between. Raises
    OSError."""
    if "\0" in place:
        raise OSError(errno.EINVAL, "a path has no NUL in it")
    if folders is None:
        return os.open(place, os.O_PATH | os.O_CLOEXEC)
    failure: OSError = OSError(errno.EACCES, "it lies in no folder of MeshConfig's allowedFolders")
    for folder in folders:
        rest = beneath(place, folder)
        if rest is None:
            continue
        try:
            above = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return _open_beneath(above, rest)
            finally:
                os.close(above)
        except OSError as error:
            failure = error
    raise failure


def _open_beneath(folder: int, rest: str) -> int:
    # struct open_how: flags, mode, resolve
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(rest)
    fd: int = _libc.syscall(SYS_OPENAT2, folder, ctypes.c_char_p(name), ctypes.byref(how), ctypes.sizeof(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, "a link leads out of its folder" if number == errno.EXDEV else os.strerror(number))
    return fd
