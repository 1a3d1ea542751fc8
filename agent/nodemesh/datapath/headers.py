"""A stub of the kernel's header tree, which is all that BCC needs: made from linux-libc-dev's user-space headers.

BCC looks for kernel headers under BCC_KERNEL_SOURCE. The programs use nothing but the stable context structs of
uapi/linux/bpf.h, and those BCC brings itself; so neither the running kernel's headers nor their version matter."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

USER_HEADERS = Path("/usr/include")

_TYPES = """\
#pragma once
#include <uapi/linux/types.h>
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;
typedef _Bool bool;
typedef __SIZE_TYPE__ size_t;
typedef __UINTPTR_TYPE__ uintptr_t;
#define true 1
#define false 0
"""

#: What the tree has beside linux-libc-dev's headers, by path.
_STUBS = {
    # BCC embeds its own copy; two would clash.
    "include/uapi/linux/bpf.h": "",
    "include/linux/types.h": _TYPES,
    "include/linux/kconfig.h": "#define CONFIG_BPF_SYSCALL 1\n",
    "include/linux/version.h": "#include <uapi/linux/version.h>\n",
    "include/linux/log2.h": "",
    "include/asm/page.h": "",
}


class HeadersMissing(Exception):
    """linux-libc-dev is not installed."""


def make_tree(directory: Path, user_headers: Path = USER_HEADERS) -> Path:
    """Make the tree in `directory` (created if need be) and return it. Raises HeadersMissing."""
    machine = user_headers / f"{platform.machine()}-linux-gnu"
    asm = machine / "asm" if machine.is_dir() else user_headers / "asm"
    sources = {"linux": user_headers / "linux", "asm": asm, "asm-generic": user_headers / "asm-generic"}
    for source in sources.values():
        if not source.is_dir():
            raise HeadersMissing(f"{source} is missing: install linux-libc-dev, whose headers BCC compiles against")
    for name, source in sources.items():
        # Real copies: a symlinked folder could not have its bpf.h emptied.
        shutil.copytree(source, directory / "include" / "uapi" / name, dirs_exist_ok=True)
    for name, text in _STUBS.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def cached_tree() -> Path:
    """The tree in the cache folder, made at the first call. Safe against others who make it at the same time: it comes
    into being by one rename."""
    version = USER_HEADERS / "linux" / "version.h"
    if not version.is_file():
        raise HeadersMissing(f"{version} is missing: install linux-libc-dev, whose headers BCC compiles against")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "nodemesh"
    # Our own stubs count too: an upgrade of nodemesh may bring others.
    contents = version.read_bytes() + repr(sorted(_STUBS.items())).encode()
    tree = cache / f"headers-{sha256(contents).hexdigest()[:16]}"
    if tree.is_dir():
        return tree
    try:
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="headers-", dir=cache))
    except OSError:  # a read-only file system: the tree lives as long as this process
        temporary = Path(tempfile.mkdtemp(prefix="nodemesh-headers-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        return make_tree(temporary)
    try:
        make_tree(fresh)
        fresh.chmod(0o755)
        fresh.rename(tree)
    except OSError:
        # Somebody was faster.
        if not tree.is_dir():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return tree
