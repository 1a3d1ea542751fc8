"""BCC's Python binding, which comes with the distribution and not by pip: found from any virtual environment."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

#: Where Debian, Ubuntu and their kin put what belongs to their own Python. The binding is plain Python over libbcc's C
#: interface, so that another Python can read it, too.
DISTRIBUTION = (Path("/usr/lib/python3/dist-packages"),)

MISSING = "BCC's Python binding is missing"
MEND = "install python3-bpfcc"


def find(places: tuple[Path, ...] = DISTRIBUTION) -> ModuleSpec | None:
    """Where `bcc` is, for this Python or else for the distribution's; None where it is not. Imports nothing: that
    would bring LLVM into this process."""
    return importlib.util.find_spec("bcc") or PathFinder.find_spec("bcc", [str(place) for place in places])


def provide(places: tuple[Path, ...] = DISTRIBUTION) -> bool:
    """Let `import bcc` work in this process; False where there is none. Of the distribution's folder nothing else
    is to be seen."""
    spec = find(places)
    if spec is None or spec.loader is None:
        return False
    if "bcc" not in sys.modules:
        module = importlib.util.module_from_spec(spec)
        sys.modules["bcc"] = module  # its own modules ask for it
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules["bcc"]
            raise
    return True
