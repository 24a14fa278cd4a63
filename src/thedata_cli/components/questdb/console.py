"""The web console, kept from talking to anybody but its own server.

The console that comes in the jar asks its maker for news and releases from every browser that opens it. The server
cannot be told otherwise, but it can serve another directory: a copy whose content security policy allows its own origin
only.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

_IN_JAR = "io/questdb/site/public.zip"

_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'\">"
)


def unpack_console(jar: Path, directory: Path) -> bool:
    """Unpack the console of a jar into a directory that exists, with the policy; say whether the jar has one."""
    with zipfile.ZipFile(jar) as outer:
        if _IN_JAR not in outer.namelist():
            return False
        with zipfile.ZipFile(io.BytesIO(outer.read(_IN_JAR))) as inner:
            inner.extractall(directory)
    index = directory / "index.html"
    if not index.is_file():
        return False
    page, changes = re.subn(r"<head[^>]*>", lambda head: head[0] + _POLICY, index.read_text(encoding="utf-8"), count=1)
    index.write_text(page, encoding="utf-8")
    return changes == 1
