"""Loads the programs and pins them and their maps: as they were compiled before, or by the compiler's process."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import bpf, bpffs, btf, bytecode, compiler, headers, probes, steering, storage
from .bytecode import Bytecode
from .compiler import CompileError
from .hooks import BASE, SK_LOOKUP, SK_MSG, SOCKMAP_PROGRAMS, HookProgram
from .maps import LAYOUTS, MapMismatch, check_layout, sizes_with
from .pins import Pins

_FIELD = re.compile(r"\bFIELD\(u\d+, \w+, (\w+), (\w+)\)")


class LoadError(Exception):
    """The programs could not be compiled or loaded: one sentence with the mend. `log` is what the compiler or the
    kernel's verifier said."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def load(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int] | None = None) -> None:
    """Load the programs of `bpf_dir` and pin them with their maps. Maps that are pinned already are kept with what they
    hold; programs are replaced. Raises LoadError."""
    _load(bpf_dir, pins, sizes_with(sizes), BASE)


def load_sockmap(bpf_dir: Path, pins: Pins, sizes: Mapping[str, int] | None = None) -> None:
    """The same with what sockmap needs beside: after `load`, with the same sizes. Raises LoadError, which leaves
    everything else as it was."""
    _load(bpf_dir, pins, sizes_with(sizes), SOCKMAP_PROGRAMS, field_offsets(bpf_dir))


def is_compiled(bpf_dir: Path) -> bool:
    """Whether the programs that this kernel wants lie there already, so that nothing is needed to compile them."""
    defines = compiler.options(probes.knows_mptcp())
    try:
        return bytecode.find(bpf_dir, bytecode.key(bpf_dir, [hook.name for hook in BASE], defines)) is not None
    except OSError:
        return False


def _load(
    bpf_dir: Path,
    pins: Pins,
    sizes: Mapping[str, int],
    wanted: Sequence[HookProgram],
    offsets: Mapping[str, int] | None = None,
) -> None:
    defines = {**compiler.options(probes.knows_mptcp()), **(offsets or {})}
    try:
        code = _bytecode(bpf_dir, wanted, defines)
        bpffs.ensure(pins.root)
        lock = os.open(pins.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time where several agents share the pins
            _pin(pins, sizes, wanted, code)
        finally:
            os.close(lock)
    except CompileError as error:
        raise LoadError(str(error), error.log) from error
    except (bpffs.NotMounted, headers.HeadersMissing, OSError) as error:
        raise LoadError(str(error)) from error


def _bytecode(bpf_dir: Path, wanted: Sequence[HookProgram], defines: Mapping[str, int]) -> Bytecode:
    """Compiled now only where nobody has before."""
    names = [hook.name for hook in wanted]
    missing = ", ".join(f"{name}.bpf.c" for name in sorted(names) if not (bpf_dir / f"{name}.bpf.c").exists())
    if missing:
        raise LoadError(f"{bpf_dir} lacks {missing}: give the folder with nodemesh's eBPF sources")
    key = bytecode.key(bpf_dir, names, defines)
    code = bytecode.find(bpf_dir, key)
    if code is None:
        code = compiler.compile_apart(bpf_dir, wanted, defines)
        bytecode.keep(key, code)
    return code


def _pin(pins: Pins, sizes: Mapping[str, int], wanted: Sequence[HookProgram], code: Bytecode) -> None:
    pins.maps.mkdir(parents=True, exist_ok=True)
    pins.programs.mkdir(parents=True, exist_ok=True)
    _make_maps(pins, sizes)
    maps = {name: bpf.get(pins.maps / name) for name in code.maps}
    programs: dict[str, int] = {}
    try:
        for hook in wanted:
            programs[hook.name] = _load_program(hook, code.instructions(hook.function, maps))
        if SK_MSG in wanted:
            _attach_to_sockets(maps["sockets"], programs[SK_MSG.name])
        if SK_LOOKUP in wanted:
            steering.store(pins, code.programs[SK_LOOKUP.function], dict(enumerate(code.maps)))
        for name, fd in programs.items():
            bpf.repin(pins.programs / name, fd)
    except steering.SteeringError as error:
        raise LoadError(str(error)) from error
    finally:
        for fd in (*maps.values(), *programs.values()):
            os.close(fd)


def _make_maps(pins: Pins, sizes: Mapping[str, int]) -> None:
    """Those that are missing or have another size or shape; programs that run go on with the old ones."""
    for name, layout in LAYOUTS.items():
        path = pins.maps / name
        if path.exists() and _fits(path, sizes.get(name)):
            continue
        path.unlink(missing_ok=True)
        if layout.type == "sk_storage":
            storage.make(path, layout.value.size, layout.flags)
            continue
        size = sizes.get(name, layout.size)
        fd = bpf.map_create(layout.type, layout.key.size, layout.value.size, size, layout.flags, name)
        try:
            bpf.pin(path, fd)
        finally:
            os.close(fd)


def _fits(path: Path, size: int | None) -> bool:
    map_ = bpf.Map.open(path)
    try:
        check_layout(path, map_, size)
    except MapMismatch:
        return False
    finally:
        map_.close()
    return True


def _load_program(hook: HookProgram, instructions: bytes) -> int:
    """The descriptor of the loaded program."""
    try:
        return bpf.program_load(hook.program_type, hook.attach_type, instructions, hook.function)
    except PermissionError as error:
        if probes.lacking():
            raise LoadError("loading eBPF needs root (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)") from error
        raise _refused(hook, instructions, error) from error
    except OSError as error:
        raise _refused(hook, instructions, error) from error


def _refused(hook: HookProgram, instructions: bytes, error: OSError) -> LoadError:
    return LoadError(
        f"the kernel refused {hook.function} ({error.strerror}): "
        f"{hook.name} hooks need Linux {hook.since} or newer; the verifier's words are in the log",
        bpf.verifier_log(hook.program_type, hook.attach_type, instructions),
    )


def field_offsets(bpf_dir: Path) -> dict[str, int]:
    """Macros for fields.h: where the running kernel has the fields that it reads. Raises LoadError."""
    fields = _FIELD.findall((bpf_dir / "include" / "fields.h").read_text())
    try:
        found = btf.offsets(fields)
    except btf.BtfError as error:
        raise LoadError(str(error)) from error
    return {f"OFFSET_{structure}__{field}": offset for (structure, field), offset in found.items()}


def _attach_to_sockets(sockets: int, program: int) -> None:
    try:
        bpf.program_attach(program, sockets, SK_MSG.attach_type)
    except OSError as error:
        raise LoadError(f"sk_msg cannot be attached to a sockhash ({error.strerror})") from error
