"""Compiles bpf/ with BCC, loads the programs and pins them and their maps: `load` runs this file as a short-lived
process, since LLVM's 120 MB are not to stay in the agent."""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import binding, bpf, bpffs, btf, headers, probes, steering, storage
from .hooks import DNS_HOOKS, HOOKS, SK_LOOKUP, SK_MSG, SOCKMAP_PROGRAMS, HookProgram
from .maps import LAYOUTS, MapMismatch, check_layout, sizes_with
from .pins import Pins

_FIELD = re.compile(r"\bFIELD\(u\d+, \w+, (\w+), (\w+)\)")

_INCLUDE = re.compile(r'^#include "([^"]+)"$')


class LoadError(Exception):
    """The programs could not be compiled or loaded: one sentence with the mend. `log` is what the compiler or the
    kernel's verifier said."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def load(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int] | None = None) -> None:
    """Compile the programs of `bpf_dir` and pin them with their maps, in a process of its own. Maps that are pinned
    already are kept with what they hold; programs are replaced. Raises LoadError."""
    _run(bpf_dir, pins, sizes)


def load_sockmap(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int] | None = None) -> None:
    """The same with what sockmap needs beside: after `load`, with the same sizes. Raises LoadError, which leaves
    everything else as it was."""
    _run(bpf_dir, pins, sizes, "--sockmap")


def _run(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int] | None, *options: str) -> None:
    command = [sys.executable, "-m", __name__, "--bpf", str(bpf_dir), "--pins", str(pins.root)]
    command += ["--layout", str(pins.layout), "--sizes", json.dumps(sizes_with(sizes)), *options]
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line]
        message = lines[-1] if lines else f"the eBPF loader ended with status {done.returncode}"
        raise LoadError(message, done.stderr)


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


def _drop_unfit_maps(pins: Pins, sizes: Mapping[str, int]) -> None:
    """Unpin maps of another size or shape, so that BCC makes new ones; programs that run go on with the old."""
    for name in LAYOUTS:
        path = pins.maps / name
        if not path.exists():
            continue
        map_ = bpf.Map.open(path)
        try:
            check_layout(path, map_, sizes.get(name))
        except MapMismatch:
            path.unlink()
        finally:
            map_.close()


def _make_maps(pins: Pins) -> None:
    """What BCC does not make: the programs find these pinned."""
    storage.make(pins.maps / "origins", LAYOUTS["origins"].value.size, LAYOUTS["origins"].flags)
    path = pins.maps / steering.CODE
    if not path.exists():
        layout = LAYOUTS[steering.CODE]
        fd = bpf.map_create(layout.type, layout.key.size, layout.value.size, layout.size)
        bpf.pin(path, fd)
        os.close(fd)


def _store_steering(module: Any, pins: Pins) -> None:
    """Keep the code of sk_lookup, of which each pod gets a copy. Raises LoadError."""
    from bcc.libbcc import lib

    maps = {lib.bpf_table_fd(module.module, name.encode()): name for name in steering.MAPS}
    try:
        steering.store(pins, module.dump_func(SK_LOOKUP.function.encode()), maps)
    except steering.SteeringError as error:
        raise LoadError(str(error)) from error


class _Verifier:
    """Keeps what is written to descriptor 2 meanwhile: clang's and the verifier's words, which BCC does not return."""

    def __enter__(self) -> _Verifier:
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


def _compile(bpf_dir: Path, names: set[str], pins: Pins, sizes: Mapping[str, int], defines: Mapping[str, int]) -> Any:
    """The module of these files."""
    os.environ.setdefault("BCC_KERNEL_SOURCE", str(headers.cached_tree()))
    try:
        found = binding.provide()
    except (ImportError, OSError) as error:  # libbcc itself, or what it needs
        raise LoadError(f"BCC cannot be loaded ({error}): {binding.MEND}") from error
    if not found:
        raise LoadError(f"{binding.MISSING}: {binding.MEND}")
    from bcc import BPF

    sources = sorted(path for path in bpf_dir.glob("*.bpf.c") if path.name.removesuffix(".bpf.c") in names)
    if len(sources) < len(names):
        missing = ", ".join(sorted(f"{name}.bpf.c" for name in names if not (bpf_dir / f"{name}.bpf.c").exists()))
        raise LoadError(f"{bpf_dir} lacks {missing}: give the folder with nodemesh's eBPF sources")
    flags = [f'-DNODEMESH_PINS="{pins.maps}"', "-Wno-macro-redefined"]
    flags += [f"-D{name.upper()}_SIZE={size}" for name, size in sizes.items()]
    flags += [f"-D{name}={value}" for name, value in defines.items()]
    with _Verifier() as said:
        try:
            return BPF(text=amalgamate(sources).encode(), cflags=flags)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise LoadError(f"{bpf_dir} does not compile: {error}", said.text()) from error


def _load_program(module: Any, hook: HookProgram) -> int:
    """The descriptor of the loaded program. `BPF.load_func` knows no attach type of cgroup hooks by itself."""
    try:
        return int(module.load_func(hook.function.encode(), hook.program_type, None, hook.attach_type).fd)
    except Exception as error:
        code = ctypes.get_errno()
        log = _verifier_log(module, hook)
        if "super-user" in str(error):
            raise LoadError("loading eBPF needs root (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)", log) from error
        raise LoadError(
            f"the kernel refused {hook.function} ({os.strerror(code) if code else error}): "
            f"{hook.name} hooks need Linux {hook.since} or newer; the verifier's words are in the log",
            log,
        ) from error


def _verifier_log(module: Any, hook: HookProgram) -> str:
    from bcc import DEBUG_BPF

    module.debug = DEBUG_BPF
    with _Verifier() as said:
        try:
            module.load_func(hook.function.encode(), hook.program_type, None, hook.attach_type)
        except Exception:
            return said.text()
    return ""


def field_offsets(bpf_dir: Path) -> dict[str, int]:
    """Macros for fields.h: where the running kernel has the fields that it reads. Raises LoadError."""
    fields = _FIELD.findall((bpf_dir / "include" / "fields.h").read_text())
    try:
        found = btf.offsets(fields)
    except btf.BtfError as error:
        raise LoadError(str(error)) from error
    return {f"OFFSET_{structure}__{field}": offset for (structure, field), offset in found.items()}


def compile_and_pin(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int], sockmap: bool = False) -> None:
    """What the short-lived process does, one at a time where several agents share the pins. Raises LoadError,
    bpffs.NotMounted, headers.HeadersMissing."""
    wanted = SOCKMAP_PROGRAMS if sockmap else (*HOOKS, *DNS_HOOKS, SK_LOOKUP)
    defines = field_offsets(bpf_dir) if sockmap else {}
    if probes.knows_mptcp():
        defines["HAVE_MPTCP"] = 1
    bpffs.ensure(pins.root)
    fcntl.flock(os.open(pins.root, os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_EX)  # until the process ends
    pins.maps.mkdir(parents=True, exist_ok=True)
    pins.programs.mkdir(parents=True, exist_ok=True)
    _drop_unfit_maps(pins, sizes)
    _make_maps(pins)
    module = _compile(bpf_dir, {hook.name for hook in wanted}, pins, sizes, defines)
    programs = {hook.name: _load_program(module, hook) for hook in wanted}
    if sockmap:
        _attach_to_sockets(pins, programs[SK_MSG.name])
    else:
        _store_steering(module, pins)
    for name, fd in programs.items():
        bpf.repin(pins.programs / name, fd)


def _attach_to_sockets(pins: Pins, program: int) -> None:
    sockets = bpf.Map.open(pins.maps / "sockets")
    try:
        bpf.program_attach(program, sockets.fd, SK_MSG.attach_type)
    except OSError as error:
        raise LoadError(f"sk_msg cannot be attached to a sockhash ({error.strerror})") from error
    finally:
        sockets.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nodemesh.datapath.loader", description=__doc__)
    parser.add_argument("--bpf", type=Path, required=True, help="folder with the *.bpf.c")
    parser.add_argument("--pins", type=Path, required=True, help="folder under a BPF file system")
    parser.add_argument("--layout", type=int, required=True, help="version of the map layouts")
    parser.add_argument("--sizes", type=json.loads, default={}, help="JSON: entries per map")
    parser.add_argument("--sockmap", action="store_true", help="the programs for sockmap, not the others")
    options = parser.parse_args()
    pins = Pins(options.pins, options.layout)
    try:
        compile_and_pin(options.bpf, pins, sizes_with(options.sizes), options.sockmap)
    except LoadError as error:
        sys.stderr.write(error.log)
        print(error)
        return 1
    except (bpffs.NotMounted, headers.HeadersMissing, OSError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
