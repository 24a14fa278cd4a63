"""The entry point of the `thedata` program."""

from __future__ import annotations

import sys

from thedata_cli import __version__


def main() -> None:
    """Run the command line; scripts that only ask for the version are answered before it is built."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"thedata {__version__}\n")
        return
    from thedata_cli.cli.commands import app

    app(prog_name="thedata")


if __name__ == "__main__":
    main()
