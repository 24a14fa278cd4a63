"""The entry point of the `thedata` program."""

from __future__ import annotations

import signal
import sys

from thedata_cli import __version__


def main() -> None:
    """Run the command line; scripts that only ask for the version are answered before it is built."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"thedata {__version__}\n")
        return
    # What must be tidied up after Ctrl-C must be so, too, after a polite end.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        from thedata_cli.cli.commands import app

        app(prog_name="thedata")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the command can be run again\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
