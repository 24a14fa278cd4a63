"""What is on disk about the services that run, for commands and for the next supervisor."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def read_record(record_file: Path) -> dict[str, Any] | None:
    """Return what a supervisor that is alive, or was killed, recorded; None after an end in good order."""
    try:
        record: dict[str, Any] = json.loads(record_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"socket": "", "services": {}}
    return record


def write_record(record_file: Path, socket_path: Path, services: dict[str, Any]) -> None:
    """Write the record as a whole; a full disk must not stop the services."""
    draft = record_file.with_suffix(".draft")
    with contextlib.suppress(OSError):
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"pid": os.getpid(), "socket": str(socket_path), "services": services}))
        draft.replace(record_file)
