"""Webhooks: bodies, headers, checks, limits, and that a request counts whole or not at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import zstandard
from tests.components.materialize.emulator.lab import Lab

pytestmark = pytest.mark.live

MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("body_format", "body", "rows"),
    [
        ("JSON", b'{"a": 1}', [{"a": 1}]),
        ("JSON", b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("JSON", b'{"a":\n 1} {"a": "x\\ty\\\\"}[1]  7', [{"a": 1}, {"a": "x\ty\\"}, [1], 7]),
        ("JSON", '{"ü": "日本 \\u00e9"}'.encode(), [{"ü": "日本 é"}]),
        ("JSON", b"", []),
        ("JSON", b'{"a": 1.10}  {"a": 12345678901234567890123}', [{"a": 1.1}, {"a": 12345678901234567890123}]),
        ("JSON", b"[1, 2]", [[1, 2]]),
        ("JSON ARRAY", b'[{"a": 1}, [2, 3]]', [{"a": 1}, [2, 3]]),
        ("JSON ARRAY", b'[1,2]\n[3] {"a": 4}', [1, 2, 3, {"a": 4}]),
        ("TEXT", b"a\tb\\N\nc\r\n", ["a\tb\\N\nc\r\n"]),
        ("TEXT", b"", [""]),
        ("BYTES", b"\x00\xff\\x", [b"\x00\xff\\x"]),
    ],
)
def test_bodies(lab: Lab, body_format: str, body: bytes, rows: list[object]) -> None:
    lab.run(f"CREATE SOURCE s FROM WEBHOOK BODY FORMAT {body_format}")
    answer = lab.post("s", body)
    assert (answer.status_code, answer.content) == (200, b"")
    found = [row[0] for row in lab.connection.execute("SELECT body FROM s").fetchall()]
    assert sorted(map(repr, found)) == sorted(map(repr, rows))


@pytest.mark.parametrize(
    ("body_format", "body"),
    [
        ("JSON", b"nope"),
        ("JSON", b'{"a": 1}\n{"a": '),
        ("JSON", b'{"a": "\\u0000"}'),
        ("JSON", b'{"a": "\xff"}'),
        ("JSON ARRAY", b"[1, 2"),
        ("TEXT", b"\xff"),
    ],
)
def test_bad_bodies_leave_nothing_behind(lab: Lab, body_format: str, body: bytes) -> None:
    lab.run(f"CREATE SOURCE s FROM WEBHOOK BODY FORMAT {body_format}")
    answer = lab.post("s", body)
    assert answer.status_code == 400
    assert "failed to deserialize body" in answer.text
    assert lab.value("SELECT count(*) FROM s") == 0


def test_a_bad_request_does_not_harm_those_beside_it(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    bodies = [b'{"a": "\\u0000"}' if at % 5 == 0 else b'{"a": %d}' % at for at in range(50)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: lab.post("s", body).status_code, bodies))
    assert answers == [400 if at % 5 == 0 else 200 for at in range(50)]
    assert lab.value("SELECT count(*) FROM s") == 40


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("identity", bytes),
    ],
)
def test_packed_bodies(lab: Lab, encoding: str, pack: object) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    body = pack(b'{"a": 1}\n{"a": 2}')  # type: ignore[operator]
    assert lab.post("s", body, {"content-encoding": encoding}).status_code == 200
    assert lab.rows("SELECT body->>'a' FROM s") == [("1",), ("2",)]
    if encoding != "identity":
        assert lab.post("s", b"not packed", {"content-encoding": encoding}).status_code == 400


def test_the_limit_counts_after_unpacking(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT TEXT")
    assert lab.post("s", b"x" * 5 * MEBIBYTE).status_code == 200
    assert lab.post("s", b"x" * (5 * MEBIBYTE + 1)).status_code == 413
    assert lab.post("s", gzip.compress(b"x" * 50 * MEBIBYTE), {"content-encoding": "gzip"}).status_code == 413
    assert lab.value("SELECT count(*) FROM s") == 1


def test_headers(lab: Lab) -> None:
    lab.run(
        "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON INCLUDE HEADERS (NOT 'authorization') "
        "INCLUDE HEADER 'X-Id' AS id INCLUDE HEADER 'x-raw' AS raw BYTES"
    )
    headers = {"x-id": "7\t\"'\\", "authorization": "hush", "x-raw": "ab"}
    assert lab.post("s", b"1", headers).status_code == 200
    assert lab.post("s", b"2").status_code == 200
    assert lab.rows("SELECT id, raw, headers->'x-id', headers->'authorization' FROM s WHERE body = '1'") == [
        ("7\t\"'\\", b"ab", "7\t\"'\\", None)
    ]
    assert lab.rows("SELECT id, raw FROM s WHERE body = '2'") == [(None, None)]


def test_a_header_twice_is_refused_even_for_an_unknown_source(lab: Lab) -> None:
    answer = lab.http.post(
        f"/api/webhook/materialize/{lab.schema}/nothing", content=b"1", headers=[("x-a", "1"), ("x-a", "2")]
    )
    assert answer.status_code == 401
    assert "x-a provided more than once" in answer.text


def signature(key: bytes, body: bytes) -> str:
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


CHECKED = (
    "CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON CHECK (WITH (HEADERS, BODY AS b, SECRET wh AS k) "
    "constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(b, k, 'sha256')))"
)


def test_check_with_hmac(lab: Lab) -> None:
    lab.run("CREATE SECRET wh AS 'first'", CHECKED)
    body = json.dumps({"a": "é"}, ensure_ascii=False).encode()
    unsigned = lab.post("s", body)
    assert (unsigned.status_code, unsigned.text) == (400, "failed to validate the request")
    assert lab.post("s", body, {"x-signature": signature(b"wrong", body)}).status_code == 400
    assert lab.post("s", body, {"x-signature": signature(b"first", body)}).status_code == 200
    error = lab.post("s", body, {"x-signature": "%%%"})
    assert (error.status_code, error.text) == (400, "error occurred while running validation")
    assert lab.post("s", b"not json", {"x-signature": signature(b"first", b"not json")}).status_code == 400
    lab.run("ALTER SECRET wh AS 'second'")
    assert lab.post("s", body, {"x-signature": signature(b"first", body)}).status_code == 400
    assert lab.post("s", body, {"x-signature": signature(b"second", body)}).status_code == 200
    assert lab.value("SELECT count(*) FROM s") == 2


def test_hmac_is_that_of_everybody_else(lab: Lab) -> None:
    for algorithm in ("md5", "sha224", "sha256", "sha384", "sha512"):
        for length in (0, 1, 63, 64, 65, 127, 128, 129, 200):
            key, data = "k" * length, "data" * length
            found = lab.value(f"SELECT hmac('{data}', '{key}', '{algorithm}')")
            assert found == hmac.new(key.encode(), data.encode(), algorithm).digest(), f"{algorithm}, key of {length}"


def test_a_check_without_a_secret(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT TEXT CHECK (WITH (BODY BYTES) length(body) < 4)")
    assert [lab.post("s", body).status_code for body in (b"abc", b"abcd")] == [200, 400]
    assert lab.error("CREATE SOURCE t FROM WEBHOOK BODY FORMAT TEXT CHECK (nothing)").sqlstate == "42703"


def test_unknown_places(lab: Lab) -> None:
    lab.run("CREATE TABLE t (a int)")
    for path in ("materialize/public/nothing", f"materialize/{lab.schema}/t", f"other/{lab.schema}/s", "materialize"):
        answer = lab.http.post(f"/api/webhook/{path}", content=b"1")
        assert answer.status_code == 404
        assert "no object was found at the path" in answer.text
    assert lab.http.get(f"/api/webhook/materialize/{lab.schema}/t").status_code == 405


def test_a_dropped_source_is_unknown_and_a_new_one_is_empty(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    lab.send("s", 1)
    lab.run("DROP SOURCE s")
    assert lab.post("s", b"1").status_code == 404
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    assert lab.rows("SELECT * FROM s") == []
    lab.send("s", 2)
    assert lab.rows("SELECT * FROM s") == [(2,)]


def test_a_table_from_webhook_and_the_url_of_each(lab: Lab) -> None:
    lab.run("CREATE TABLE t FROM WEBHOOK BODY FORMAT JSON")
    url = lab.value(f"SELECT url FROM mz_internal.mz_webhook_sources WHERE url LIKE '%/{lab.schema}/%'")
    assert httpx.post(url, content=b'{"a": 1}').status_code == 200
    assert lab.rows("SELECT * FROM t") == [({"a": 1},)]
    lab.run("DROP TABLE t")


def test_all_rows_of_a_request_come_at_one_time(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    start = int(lab.value("SELECT mz_now()::bigint"))
    lab.run("ALTER SOURCE s SET (RETAIN HISTORY FOR '1h')")
    with lab.another() as watcher, watcher.transaction():
        watcher.execute("DECLARE c CURSOR FOR SUBSCRIBE s WITH (SNAPSHOT = false)")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda at: lab.send("s", *[at] * 20), range(40)))
        told: list[tuple[object, ...]] = []
        while sum(row[1] for row in told) < 800:  # type: ignore[misc]
            told += watcher.execute("FETCH ALL c").fetchall()
    assert sorted((row[2], row[1]) for row in told) == [(at, 20) for at in range(40)]
    assert all(row[0] > start for row in told)  # type: ignore[operator]


def test_statistics_count_messages(lab: Lab) -> None:
    lab.run("CREATE SOURCE s FROM WEBHOOK BODY FORMAT JSON")
    lab.send("s", 1)
    lab.send("s", 2, 3)
    sql = (
        "SELECT messages_received, bytes_received FROM mz_internal.mz_source_statistics JOIN mz_sources USING (id) "
        "JOIN mz_schemas s ON s.id = schema_id WHERE s.name = current_schema"
    )
    assert [tuple(map(int, row)) for row in lab.rows(sql)] == [(2, 4)]


def test_health(lab: Lab) -> None:
    assert lab.http.get("/api/livez").status_code == 200
    assert lab.http.get("/api/readyz").status_code == 200


def test_sql_over_http(lab: Lab) -> None:
    answer = lab.http.post("/api/sql", json={"query": "SELECT 1 AS a, 'x' AS b; SELECT nothing"}).json()["results"]
    assert answer[0]["rows"] == [["1", "x"]]
    assert [column["name"] for column in answer[0]["desc"]["columns"]] == ["a", "b"]
    assert answer[1]["error"]["code"] == "42703"
    answer = lab.http.post("/api/sql", json={"queries": [{"query": "SELECT $1::int + 1", "params": ["4"]}]}).json()[
        "results"
    ]
    assert answer[0]["rows"] == [["5"]]
    assert lab.http.post("/api/sql", content=b"nope").status_code == 400
