"""How long the command line takes to start, against importing the library it is made with."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks._timing import compare

PROGRAM = str(Path(sys.executable).parent / "thedata")
PEER = [sys.executable, "-c", "import typer"]


def main() -> None:
    figures = [
        compare("thedata --version", [PROGRAM, "--version"], "python -c 'import typer'", PEER, runs=21),
        compare("thedata --help", [PROGRAM, "--help"], "python -c 'import typer'", PEER, runs=21),
    ]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
