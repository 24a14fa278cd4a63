"""One word that changes when the routes of a project change: how a running worker is known to be out of date."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from thedata_cli.component_api.routes import Route, ViewRoute


def fingerprint_of(routes: Sequence[Route | ViewRoute]) -> str:
    """Return 16 hex digits for what the routes say; where in which file they say it does not count.

    Example:
        >>> fingerprint_of(())
        'e3b0c44298fc1c14'
    """
    digest = hashlib.sha256()
    for route in routes:
        digest.update(repr(dataclasses.replace(route, position=None)).encode())
    return digest.hexdigest()[:16]
