"""chDB, ClickHouse's engine as a library, behind ClickHouse's HTTP interface.

A product of its own: one process owns one data directory and serves it on loopback. It is started
by `python -m thedata_cli.components.clickhouse.server` and imported by nobody.
"""
