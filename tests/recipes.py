"""The documentation's recipes: files as they stand there, each in a fenced block behind its name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: A line with nothing but a name in backticks, and the block behind it.
BLOCK = re.compile(r"^`([\w./-]+)`\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def write(folder: Path) -> dict[str, str]:
    """Write all of them; their texts by name."""
    files = dict(BLOCK.findall((ROOT / "manifests" / "TESTING.md").read_text()))
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files
