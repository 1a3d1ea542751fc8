"""The commands, one file each; `main.py` gathers them.

- `run.py`: the node. `demo.py`: the tour. `doctor.py`, `uninstall.py`: the machine.
- `show.py`: what a running node says (status, services, …), over `client.py`.
- `lint.py`, `explain.py`, `migrate.py`, `crds.py`: configuration, without a node, over `files.py`.
- `output.py`: tables, JSON and errors as all commands print them.

Commands import what they need when they run, so that `nodemesh lint` needs neither eBPF nor aiohttp. Errors are one
sentence on standard error; exit codes are 0, 1 (it failed) and 2 (wrong usage)."""
