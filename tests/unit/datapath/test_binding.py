"""BCC's binding is found where the distribution keeps it, and nothing else of that folder is."""

import subprocess
import sys
from pathlib import Path

from nodemesh.datapath import binding
from nodemesh.node.child import environment

TRY = """
import sys
from pathlib import Path
from nodemesh.datapath import binding
sys.path[:] = [path for path in sys.path if not (Path(path) / "bcc").exists()]
print(binding.provide((Path(sys.argv[1]),)))
import bcc
print(bcc.helper.NAME, "neighbour" in sys.modules)
try:
    import neighbour
except ImportError:
    print("unseen")
"""


def test_the_distributions_binding_serves_another_python_and_its_neighbours_stay_unseen(tmp_path):
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text("from . import helper\n")
    (tmp_path / "bcc" / "helper.py").write_text("NAME = 'of the distribution'\n")
    (tmp_path / "neighbour.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(tmp_path)], env=environment(), capture_output=True, text=True, timeout=30
    )
    assert done.stdout.splitlines() == ["True", "of the distribution False", "unseen"], done.stderr


def test_where_it_is_not_nothing_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "bcc").exists()])
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    assert binding.find((tmp_path,)) is None and not binding.provide((tmp_path,))
