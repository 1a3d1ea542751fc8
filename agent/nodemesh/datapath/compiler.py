"""Compiles bpf/ with BCC, in a process of its own: LLVM's 120 MB are not to stay in the agent.

`python -m nodemesh.datapath.compiler --bpf DIR --all` leaves what every kernel may want beside the sources: images and
packages are made so, and load it without BCC and LLVM."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from . import binding, bpffs, bytecode, headers, storage
from .bytecode import Bytecode, BytecodeError
from .hooks import BASE, HookProgram, by_names
from .maps import LAYOUTS, RESIZABLE

_INCLUDE = re.compile(r'^#include "([^"]+)"$')


class CompileError(Exception):
    """The programs could not be compiled: one sentence with the mend. `log` is what the compiler said."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def options(mptcp: bool) -> dict[str, int]:
    """The macros of what a kernel may have or not."""
    return {"HAVE_MPTCP": 1} if mptcp else {}


def compile_apart(bpf_dir: Path, programs: Iterable[HookProgram], defines: Mapping[str, int]) -> Bytecode:
    """Have another process compile. Raises CompileError."""
    with tempfile.NamedTemporaryFile(prefix="nodemesh-bytecode-") as output:
        command = [sys.executable, "-m", __name__, "--bpf", str(bpf_dir), "--output", output.name]
        command += ["--defines", json.dumps(dict(defines)), *(hook.name for hook in programs)]
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line]
            message = lines[-1] if lines else f"the eBPF compiler ended with status {done.returncode}"
            raise CompileError(message, done.stderr)
        return msgspec.msgpack.decode(output.read(), type=Bytecode)


def amalgamate(paths: list[Path]) -> str:
    """One text of all the files with our own headers put in once: BCC rewrites map accesses in the main file only.
    `#line` keeps the compiler's messages true."""
    seen: set[Path] = set()
    lines: list[str] = []
    for path in paths:
        _append(path.resolve(), seen, lines)
    return "\n".join(lines) + "\n"


def _append(path: Path, seen: set[Path], lines: list[str]) -> None:
    if path in seen:
        return
    seen.add(path)
    lines.append(f'#line 1 "{path}"')
    for number, line in enumerate(path.read_text().splitlines(), 1):
        included = _INCLUDE.match(line)
        if included:
            _append((path.parent / included[1]).resolve(), seen, lines)
            lines.append(f'#line {number + 1} "{path}"')
        elif line != "#pragma once":
            lines.append(line)
        else:
            lines.append("")


class _Said:
    """Keeps what is written to descriptor 2 meanwhile: clang's words, which BCC does not return."""

    def __enter__(self) -> _Said:
        sys.stderr.flush()
        self._file = tempfile.TemporaryFile()
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)

    def text(self) -> str:
        self._file.seek(0)
        return self._file.read().decode(errors="replace")


def compile_here(bpf_dir: Path, programs: Iterable[HookProgram], defines: Mapping[str, int]) -> Bytecode:
    """What the short-lived process does. BCC makes maps as it compiles: as small as can be, in a BPF file system that
    nobody else sees and that ends with this process. Raises CompileError, bpffs.NotMounted, headers.HeadersMissing."""
    wanted = list(programs)
    with tempfile.TemporaryDirectory(prefix="nodemesh-bpffs-") as scratch:
        pins = Path(scratch)
        bpffs.mount_private(pins)
        try:
            storage.make(pins / "origins", LAYOUTS["origins"].value.size, LAYOUTS["origins"].flags)
            module = _module(bpf_dir, [hook.name for hook in wanted], pins, defines)
            from bcc.libbcc import lib

            tables = {lib.bpf_table_fd(module.module, name.encode()): name for name in LAYOUTS}
            tables.pop(-1, None)
            return bytecode.link({hook.function: module.dump_func(hook.function.encode()) for hook in wanted}, tables)
        except BytecodeError as error:
            raise CompileError(f"{bpf_dir}: {error}") from error
        finally:
            bpffs.unmount(pins)


def _module(bpf_dir: Path, names: list[str], pins: Path, defines: Mapping[str, int]) -> Any:
    """BCC's module of these files."""
    try:
        found = binding.provide()
    except (ImportError, OSError) as error:  # libbcc itself, or what it needs
        raise CompileError(f"BCC cannot be loaded ({error}): {binding.MEND}") from error
    if not found:
        raise CompileError(f"{binding.MISSING}: {binding.MEND}")
    os.environ.setdefault("BCC_KERNEL_SOURCE", str(headers.cached_tree()))
    from bcc import BPF

    flags = [f'-DNODEMESH_PINS="{pins}"', "-Wno-macro-redefined"]
    flags += [f"-D{name.upper()}_SIZE=1" for name in RESIZABLE]
    flags += [f"-D{name}={value}" for name, value in defines.items()]
    sources = [bpf_dir / f"{name}.bpf.c" for name in sorted(names)]
    with _Said() as said:
        try:
            return BPF(text=amalgamate(sources).encode(), cflags=flags)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise CompileError(f"{bpf_dir} does not compile: {error}", said.text()) from error


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nodemesh.datapath.compiler", description=__doc__)
    parser.add_argument("--bpf", type=Path, required=True, help="folder with the *.bpf.c")
    parser.add_argument("--output", type=Path, help="file for the compiled programs")
    parser.add_argument("--defines", type=json.loads, default={}, help="JSON: macros")
    parser.add_argument("--all", action="store_true", help="for every kernel, beside the sources")
    parser.add_argument("program", nargs="*", help="names of files, without .bpf.c")
    chosen = parser.parse_args()
    try:
        if not chosen.all:
            code = compile_here(chosen.bpf, by_names(chosen.program), chosen.defines)
            chosen.output.write_bytes(msgspec.msgpack.encode(code))
            return 0
        folder = chosen.bpf / bytecode.FOLDER
        folder.mkdir(exist_ok=True)
        for mptcp in (False, True):
            defines = options(mptcp)
            name = bytecode.key(chosen.bpf, [hook.name for hook in BASE], defines)
            bytecode.write(folder / name, compile_here(chosen.bpf, BASE, defines))
    except CompileError as error:
        sys.stderr.write(error.log)
        print(error)
        return 1
    except (bpffs.NotMounted, headers.HeadersMissing, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
