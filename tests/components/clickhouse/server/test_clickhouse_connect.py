"""The Python client against the real server: what it is used for in this project and around it."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import clickhouse_connect
import pytest
import sqlalchemy
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, ProgrammingError
from clickhouse_connect.driver.external import ExternalData
from tests.components.clickhouse.server_process import ClickHouseServer

pytestmark = pytest.mark.live


def connect(server: ClickHouseServer, database: str, **options: Any) -> Client:
    login = {"username": server.user, "password": server.password}
    return clickhouse_connect.get_client(host=server.host, port=server.port, database=database, **(login | options))


def first_row(client: Client, sql: str, **options: Any) -> Sequence[Any]:
    row = client.query(sql, **options).first_row
    assert row is not None
    return row


@pytest.fixture
def client(server: ClickHouseServer, database: str) -> Iterator[Client]:
    connected = connect(server, database)
    yield connected
    connected.close()


@pytest.mark.parametrize("packing", ["lz4", "zstd", "gzip", False])
def test_rows_go_and_come_back(server: ClickHouseServer, database: str, packing: str | bool) -> None:
    client = connect(server, database, compress=packing)
    client.command(
        "CREATE TABLE t (a UInt64, b Nullable(String), c DateTime('Europe/Paris'), d Decimal(18, 4), e UUID, f IPv4, "
        "g Array(LowCardinality(String)), h Map(String, Int64), i Tuple(x Int8, y String), j Enum8('x' = 1), "
        "k DateTime64(6, 'UTC'), l Date, m FixedString(3), n Bool, o Float64) ENGINE = MergeTree ORDER BY a"
    )
    row = (
        7,
        None,
        dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC),
        decimal.Decimal("12.3456"),
        uuid.UUID(int=5),
        ipaddress.IPv4Address("10.1.2.3"),
        ["a", "b", "a"],
        {"one": 1},
        (3, "é"),
        "x",
        dt.datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=dt.UTC),
        dt.date(2024, 2, 29),
        b"abc",
        True,
        0.1,
    )
    summary = client.insert("t", [row] * 1000)
    assert summary.written_rows == 1000
    result = client.query("SELECT * FROM t")
    assert result.row_count == 1000
    (got,) = set(map(str, result.result_rows))
    shown = first_row(client, "SELECT * FROM t")
    assert str(shown) == got
    assert shown[2] == row[2]
    assert str(shown[2].tzinfo) == "Europe/Paris"
    assert shown[3:6] == row[3:6]
    assert shown[6] == row[6]
    client.close()


def test_blocks_stream(client: Client) -> None:
    rows = 0
    with client.query_row_block_stream("SELECT number, toString(number) FROM numbers(500000)") as stream:
        for block in stream:
            rows += len(block)
    assert rows == 500_000


def test_parameters_settings_and_commands(client: Client) -> None:
    sql = "SELECT {n:UInt8}, {s:String}, {l:Array(String)}, getSetting('max_block_size')"
    values = {"n": 5, "s": "it's\ta \\ tab\n", "l": ["a'b", "c"]}
    got = first_row(client, sql, parameters=values, settings={"max_block_size": 17})
    assert list(got) == [5, values["s"], values["l"], 17]
    assert client.command("SELECT count() FROM numbers(5)") == 5
    assert client.query("SELECT 1 WHERE 0").result_rows == []


def test_sessions_keep_temporary_tables(client: Client) -> None:
    client.command("CREATE TEMPORARY TABLE kept (a UInt8)")
    client.insert("kept", [[1], [2]], column_names=["a"])
    assert client.command("SELECT sum(a) FROM kept") == 3


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM missing", 60),
        ("SELEC 1", 62),
        ("SELECT throwIf(number = 5) FROM numbers(10)", 395),
        ("SELECT throwIf(number = 900000), toString(number) FROM numbers(1000000)", 395),
    ],
)
def test_errors_carry_their_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError, match=rf"(?i)code:? {code}|FUNCTION_THROW_IF"):
        client.query(sql)


def test_a_wrong_password_is_refused(server: ClickHouseServer) -> None:
    with pytest.raises(DatabaseError, match="516"):
        connect(server, "default", password="wrong")


def test_an_unknown_setting_is_refused(client: Client) -> None:
    with pytest.raises((DatabaseError, ProgrammingError)):
        client.query("SELECT 1", settings={"no_such_setting": 1})


def test_a_failing_insert_leaves_nothing(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8, CONSTRAINT small CHECK a < 100) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(DatabaseError):
        client.insert("t", [[1], [200]], column_names=["a"])
    assert client.command("SELECT count() FROM t") == 0


def test_external_data(client: Client) -> None:
    data = ExternalData(file_name="ids.csv", data=b"1,one\n2,two\n", fmt="CSV", structure=["id UInt8", "name String"])
    assert client.query("SELECT name FROM ids WHERE id = 2", external_data=data).result_rows == [("two",)]


def test_raw_data_in_both_ways(client: Client) -> None:
    client.command("CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
    client.raw_insert("t", ["a", "b"], b"1,one\n2,two\n", fmt="CSV")
    assert (
        client.raw_query("SELECT * FROM t ORDER BY a", fmt="JSONEachRow") == b'{"a":1,"b":"one"}\n{"a":2,"b":"two"}\n'
    )
    with client.raw_stream("SELECT number FROM numbers(100000)", fmt="RowBinary") as stream:
        assert len(stream.read()) == 800_000


def test_data_frames_and_arrow(client: Client) -> None:
    pytest.importorskip("pandas")
    frame = client.query_df("SELECT number AS n, toString(n) AS s FROM numbers(1000)")
    assert frame["n"].sum() == 499_500
    client.command("CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    client.insert_df("t", frame)
    assert client.command("SELECT sum(n) FROM t") == 499_500
    pytest.importorskip("pyarrow")
    table = client.query_arrow("SELECT * FROM t")
    assert table.num_rows == 1000
    client.insert_arrow("t", table)
    assert client.command("SELECT count() FROM t") == 2000


async def test_the_async_client(server: ClickHouseServer, database: str) -> None:
    client = await clickhouse_connect.get_async_client(
        host=server.host, port=server.port, username=server.user, password=server.password, database=database
    )
    await client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    await client.insert("t", [[number] for number in range(1000)], column_names=["a"])
    assert (await client.query("SELECT sum(a) FROM t")).first_row == (499_500,)
    with pytest.raises(DatabaseError, match="60"):
        await client.query("SELECT * FROM missing")
    await client.close()


def test_sqlalchemy(server: ClickHouseServer, database: str) -> None:
    address = f"clickhousedb://{server.user}:{server.password}@{server.host}:{server.port}/{database}"
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a"))
        table = sqlalchemy.Table("t", sqlalchemy.MetaData(), autoload_with=connection)
        connection.execute(table.insert(), [{"a": 1, "b": "one"}, {"a": 2, "b": "it's"}])
        got = connection.execute(sqlalchemy.select(table.c.b).where(table.c.a == 2)).all()
    assert [tuple(row) for row in got] == [("it's",)]
    assert sqlalchemy.inspect(engine).get_table_names() == ["t"]
    engine.dispose()
