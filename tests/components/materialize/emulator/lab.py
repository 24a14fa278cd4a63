"""What tests of the emulator do again and again: run SQL, post to webhooks, wait for a condition."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from tests.components.materialize.emulator_process import Emulator

WAIT_LIMIT_S = 20.0


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


@dataclass
class Lab:
    """One schema of one emulator."""

    emulator: Emulator
    schema: str
    connection: psycopg.Connection[Any]
    http: httpx.Client

    @classmethod
    @contextlib.contextmanager
    def open(cls, emulator: Emulator, schema: str) -> Iterator[Lab]:
        with (
            psycopg.connect(emulator.conninfo, autocommit=True) as connection,
            httpx.Client(base_url=emulator.http_url, timeout=30) as http,
        ):
            connection.execute(f"CREATE SCHEMA {schema}")
            connection.execute(f"SET search_path = {schema}")
            yield cls(emulator, schema, connection, http)
            connection.execute("ROLLBACK")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")

    def run(self, *statements: str) -> None:
        """Run statements."""
        for sql in statements:
            self.connection.execute(sql.encode())

    def make_views(self, queries: Mapping[str, str]) -> None:
        """Make each view materialized, and once more as a query that is computed whenever it is asked."""
        for name, query in queries.items():
            self.run(f"CREATE VIEW {name}_query AS {query}", f"CREATE MATERIALIZED VIEW {name} AS {query}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query, in an order of their own."""
        return sorted(self.connection.execute(sql.encode()).fetchall(), key=repr)

    def value(self, sql: str) -> Any:
        """The single value of a query."""
        row = self.connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]

    def error(self, sql: str) -> psycopg.Error:
        """The error that a statement must end with."""
        try:
            self.connection.execute(sql.encode()).fetchall()
        except psycopg.ProgrammingError as error:
            if error.sqlstate is None:
                raise AssertionError(f"no error: {sql}") from error
            return error
        except psycopg.Error as error:
            return error
        raise AssertionError(f"no error: {sql}")

    def log_lines(self, words: str) -> list[str]:
        """What the emulator has logged with these words about objects of this schema."""
        return [
            line for line in self.emulator.log.read_text().splitlines() if words in line and f"{self.schema}." in line
        ]

    def another(self) -> psycopg.Connection[Any]:
        """One more connection, in the same schema."""
        connection = psycopg.connect(self.emulator.conninfo, autocommit=True)
        connection.execute(f"SET search_path = {self.schema}")
        return connection

    def post(self, source: str, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send one webhook request."""
        return self.http.post(
            f"/api/webhook/materialize/{self.schema}/{source}", content=body, headers=dict(headers or {})
        )

    def send(self, source: str, *events: object) -> None:
        """Append events to a JSON source."""
        answer = self.post(source, "\n".join(json.dumps(event) for event in events).encode())
        assert answer.status_code == 200, answer.text
