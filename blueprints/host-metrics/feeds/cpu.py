"""Print how busy each core of this machine is, and all of them together, as one JSON message a line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from readings import psutil, write

_FIRST_S = 0.2
"""What the first reading is about: shares are shares of the time since the reading before."""

_WAITING = ("idle", "iowait")

Seconds = Mapping[str, float]
"""What a core has spent in each mode since the machine started; which modes there are differs between systems."""


class Cores:
    """The cores, and what they had spent at the last reading."""

    def __init__(self) -> None:
        self._before = _seconds()

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Yield one message for all cores together and one for each core."""
        before, self._before = self._before, _seconds()
        spent = [
            {mode: max(0.0, seconds - earlier[mode]) for mode, seconds in now.items()}
            for earlier, now in zip(before, self._before, strict=False)
        ]
        total = {mode: sum(core[mode] for core in spent) for mode in spent[0]} if spent else {}
        load_1m, load_5m, load_15m = (round(load, 2) for load in psutil.getloadavg())
        for message in _shares("cpu-total", total):
            yield {**message, "load_1m": load_1m, "load_5m": load_5m, "load_15m": load_15m}
        for number, core in enumerate(spent):
            yield from _shares(f"cpu{number}", core)


def _seconds() -> Sequence[Seconds]:
    # A guest's time is part of `user` and `nice` already.
    return [
        {mode: seconds for mode, seconds in core._asdict().items() if not mode.startswith("guest")}
        for core in psutil.cpu_times(percpu=True)
    ]


def _shares(core: str, spent: Seconds) -> Iterator[Mapping[str, Any]]:
    """Yield what share of its time a core spent in each mode; nothing when too little passed to tell."""
    if passed := sum(spent.values()):
        busy = passed - sum(spent.get(mode, 0.0) for mode in _WAITING)
        shares = {f"{mode}_percent": round(100 * seconds / passed, 2) for mode, seconds in spent.items()}
        yield {"core": core, "busy_percent": round(100 * max(0.0, busy) / passed, 2), **shares}


if __name__ == "__main__":
    cores = Cores()
    time.sleep(_FIRST_S)
    write("Prints how busy each core is, and all of them together (core cpu-total).", cores.read)
