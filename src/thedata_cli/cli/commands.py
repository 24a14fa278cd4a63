"""Every command: importing a module of commands registers them, in the order of the help.

Each module holds no more than flags and the steps of its commands.
"""

# ruff: noqa: F401, I001
from __future__ import annotations

from thedata_cli.cli import demo
from thedata_cli.cli import project
from thedata_cli.cli import lifecycle
from thedata_cli.cli import changes
from thedata_cli.cli import stream
from thedata_cli.cli import stream_tail
from thedata_cli.cli import query
from thedata_cli.cli import environment
from thedata_cli.cli import doctor
from thedata_cli.cli import serve
from thedata_cli.cli.app import app

__all__ = ["app"]
