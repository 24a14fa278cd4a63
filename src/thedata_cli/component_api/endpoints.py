"""Where a running component is reached, and the secrets that are needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SecretSpec:
    """A secret that a component needs; `init` makes a random one, `secrets/NAME` holds it.

    Attributes:
        name: File name under `secrets/`, such as `nats_password`.
        purpose: For a person, such as "password of the NATS user `thedata`".
    """

    name: str
    purpose: str


@dataclass(frozen=True)
class Endpoint:
    """Addresses of one component.

    Attributes:
        host: Name or address, never a URL.
        ports: By the component's own names for them, such as `client`, `monitor`.
        secrets: Those that the component needs, by name; kept out of `repr`.
    """

    host: str
    ports: Mapping[str, int]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
