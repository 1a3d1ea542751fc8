"""The commands, one file each; `main.py` gathers them.

- `run.py`: the node. `relay.py`: list and watch for many of them. `doctor.py`, `uninstall.py`: the machine.
- `demo.py`: the tour, with `scenarios.py` (as data), `stage.py` (what they run on) and `expectations.py`.
- `show.py`: what a running node says (status, services, …), over `client.py`; `sight.py` and `describe.py` what one
  pod sees, `traffic.py` what goes on now.
- `lint.py`, `explain.py`, `diff.py`, `test.py`, `migrate.py`, `crds.py`, `example.py`: configuration, without a node,
  over `files.py`.
- `output.py`: tables, JSON and errors as all commands print them. `completion.py`: for shells.

Commands import what they need when they run, so that `nodemesh lint` needs neither eBPF nor aiohttp. Errors are one
sentence on standard error; exit codes are 0, 1 (it failed) and 2 (wrong usage)."""
