"""The entry point of the `thedata` program."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from thedata_cli.cli.commands import app

    app(prog_name="thedata")


if __name__ == "__main__":
    main()
