"""The command `nodemesh`, and `python -m nodemesh`."""

import signal


def main() -> None:
    """Ctrl-C ends the command without a word while its modules are still being imported, unless the shell has it
    ignored, as for commands in the background."""
    asked = signal.getsignal(signal.SIGINT)
    if asked is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli.main import main as run

    signal.signal(signal.SIGINT, asked)
    run()


if __name__ == "__main__":
    main()
