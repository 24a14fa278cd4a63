"""A stand-in for Materialize on one machine: its SQL and its webhooks, answered by PostgreSQL and a view maintainer.

It is named an emulator in everything that it says of itself, and it refuses what it cannot do. It is no part of
Materialize and makes no promise of its speed: what it promises is that a program written for Materialize runs.
"""

EMULATED_VERSION = "v26.43.0"
