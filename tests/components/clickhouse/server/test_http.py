"""The HTTP interface as curl would use it: routes, login, statements, packing, sessions, errors."""

from __future__ import annotations

import gzip
import json
import re
import threading
import uuid

import httpx
import lz4.frame
import pytest
import zstandard
from tests.components.clickhouse.server.eventually import eventually
from tests.components.clickhouse.server_process import ClickHouseServer

from thedata_cli.components.clickhouse.server.frames import FrameDecoder, FrameEncoder

pytestmark = pytest.mark.live


def run(http: httpx.Client, sql: str | bytes, **parameters: str | int) -> httpx.Response:
    return http.post("/", content=sql, params=parameters)


def rows(http: httpx.Client, sql: str, **parameters: str | int) -> str:
    answer = run(http, sql, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.content.decode()


def code(answer: httpx.Response) -> str:
    return str(answer.headers.get("X-ClickHouse-Exception-Code", ""))


def test_the_paths(server: ClickHouseServer) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        assert stranger.get("/ping").text == "Ok.\n"
        assert stranger.get("/replicas_status").text == "Ok.\n"
        assert stranger.get("/").text == "Ok.\n"
        assert stranger.get("/nope").status_code == 404
        assert "There is no handle /nope" in stranger.get("/nope").text
        assert stranger.delete("/").status_code == 501


@pytest.mark.parametrize(
    ("login", "headers", "url"),
    [
        (None, {}, ""),
        (("thedata", "wrong"), {}, ""),
        (("thedata", ""), {}, ""),
        (("default", "s3cret"), {}, ""),
        (None, {"X-ClickHouse-User": "thedata"}, ""),
        (None, {"X-ClickHouse-User": "thedata", "X-ClickHouse-Key": "wrong"}, ""),
        (None, {"Authorization": "Bearer s3cret"}, ""),
        (None, {"Authorization": "Basic %%%"}, ""),
        (None, {}, "user=thedata&password=s3cre"),
    ],
)
def test_strangers_are_refused(
    server: ClickHouseServer, login: tuple[str, str] | None, headers: dict[str, str], url: str
) -> None:
    answer = httpx.post(f"{server.url}/?{url}", content="SELECT 1", auth=login, headers=headers)
    assert (answer.status_code, code(answer)) == (403, "516")
    assert "Code: 516. DB::Exception:" in answer.text
    assert "s3cret" not in answer.text


def test_every_way_to_log_in(server: ClickHouseServer) -> None:
    headers = {"X-ClickHouse-User": server.user, "X-ClickHouse-Key": server.password}
    assert httpx.post(server.url, content="SELECT 1", headers=headers).text == "1\n"
    assert httpx.post(server.url, content="SELECT 1", auth=(server.user, server.password)).text == "1\n"
    in_url = {"user": server.user, "password": server.password}
    assert httpx.post(server.url, content="SELECT 1", params=in_url).text == "1\n"


def test_a_role_cannot_be_taken(http: httpx.Client) -> None:
    assert code(run(http, "SELECT 1", role="admin")) == "511"


def test_results_come_in_the_format_that_is_asked_for(http: httpx.Client) -> None:
    sql = "SELECT number AS n, toString(n) AS s FROM numbers(2)"
    assert rows(http, sql) == "0\t0\n1\t1\n"
    assert rows(http, f"{sql} FORMAT CSVWithNames;") == '"n","s"\n0,"0"\n1,"1"\n'
    assert rows(http, sql, default_format="JSONEachRow").splitlines()[1] == '{"n":1,"s":"1"}'
    assert http.post("/", content=sql, headers={"X-ClickHouse-Format": "Values"}).text == "(0,'0'),(1,'1')"
    answer = run(http, f"{sql} FORMAT JSON SETTINGS output_format_json_quote_64bit_integers = 1")
    assert answer.json()["data"] == [{"n": "0", "s": "0"}, {"n": "1", "s": "1"}]
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.headers["X-ClickHouse-Format"] == "JSON"


@pytest.mark.parametrize("name", ["query_id", "default_format"])
def test_a_line_break_cannot_make_a_header_or_a_log_line(
    server: ClickHouseServer, http: httpx.Client, name: str
) -> None:
    for sql in ("SELECT 1", "SELEC 1"):
        answer = http.post(f"/?{name}=TSV%0d%0aX-Evil:%201%0d%0a%0d%0aevil", content=sql)
        assert "X-Evil" not in answer.headers
        assert not answer.text.startswith("evil")
    assert not [line for line in server.log.read_text().splitlines() if line.startswith(("X-Evil", "evil"))]


def test_a_long_query_in_the_url(http: httpx.Client) -> None:
    listed = ",".join(map(str, range(7_000)))
    assert http.get("/", params={"query": f"SELECT length([{listed}])"}).text == "7000\n"


def test_an_empty_result_is_still_a_document(http: httpx.Client) -> None:
    assert run(http, "SELECT 1 AS a WHERE 0 FORMAT JSON").json()["data"] == []
    assert rows(http, "SELECT 1 AS a WHERE 0 FORMAT CSVWithNames") == '"a"\n'
    assert rows(http, "SHOW TABLES FROM default LIKE 'no such' FORMAT JSONCompact").startswith("{")


def test_the_query_may_be_in_the_url_the_body_or_both(http: httpx.Client, database: str) -> None:
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert http.post("/", params={"query": "SELECT"}, content="2").text == "2\n"
    assert rows(http, "-- a comment\nSELECT 3 -- the end") == "3\n"
    run(http, f"CREATE TABLE {database}.t (a UInt8) ENGINE = Memory").raise_for_status()
    http.post("/", params={"query": f"INSERT INTO {database}.t FORMAT CSV\n1\n"}, content="2\n").raise_for_status()
    http.post("/", params={"query": f"INSERT INTO {database}.t"}, content="FORMAT CSV\n3\n").raise_for_status()
    assert rows(http, f"SELECT a FROM {database}.t ORDER BY a") == "1\n2\n3\n"


def test_queries_that_are_not_utf_8(http: httpx.Client) -> None:
    assert run(http, b"SELECT '\xff\xfe' FORMAT RawBLOB").content == b"\xff\xfe"


def test_get_may_not_write(http: httpx.Client, database: str) -> None:
    for sql in (
        f"CREATE TABLE {database}.t (a UInt8) ENGINE = Memory",
        f"DROP DATABASE {database}",
        "SYSTEM FLUSH LOGS",
    ):
        answer = http.get("/", params={"query": sql})
        assert code(answer) == "164", sql
    assert http.get("/", params={"query": "SHOW DATABASES"}).status_code == 200


@pytest.mark.parametrize(
    ("sql", "status", "want"),
    [
        ("SELECT * FROM missing", 404, "60"),
        ("SELECT * FROM missing.t", 404, "81"),
        ("SELEC 1", 400, "62"),
        ("1 + 1", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("SELECT missing_function(1)", 404, "46"),
        ("SELECT throwIf(1)", 500, "395"),
        ("SELECT 1 FORMAT Nope", 404, "73"),
        ("CREATE USER u", 500, "497"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 500, "97"),
        ("INSERT INTO missing FORMAT CSV\n1", 404, "60"),
    ],
)
def test_errors_have_clickhouses_codes(http: httpx.Client, sql: str, status: int, want: str) -> None:
    answer = run(http, sql)
    assert (answer.status_code, code(answer)) == (status, want), answer.text
    assert re.match(rf"Code: {want}\. DB::Exception: .*\([A-Z_]+\) \(version 26\.", answer.text, re.DOTALL)
    assert answer.text.count("version ") == 1
    assert "X-ClickHouse-Format" not in answer.headers


def test_settings_parameters_and_database_of_one_request(http: httpx.Client, database: str) -> None:
    assert rows(http, "SELECT getSetting('max_block_size')", max_block_size=17) == "17\n"
    assert rows(http, "SELECT currentDatabase()", database=database) == f"{database}\n"
    assert (
        http.post("/", content="SELECT currentDatabase()", headers={"X-ClickHouse-Database": database}).text
        == f"{database}\n"
    )
    assert code(run(http, "SELECT 1", database="missing")) == "81"
    assert code(run(http, "SELECT 1", no_such_setting=1)) == "115"
    sql = "SELECT {a:UInt8}, {b:String}, {c:Array(String)}, {d:Nullable(String)}, {e:Identifier} FROM system.one"
    got = rows(http, sql, param_a=1, param_b="x\\ty", param_c="['p','q']", param_d="\\N", param_e="dummy")
    assert got == "1\tx\\ty\t['p','q']\t\\N\t0\n"
    assert code(run(http, "SELECT {a:UInt8}")) == "456"


def test_limits_are_enforced(http: httpx.Client) -> None:
    assert code(run(http, "SELECT count() FROM system.numbers", max_execution_time=1)) == "159"
    memory = run(http, "SELECT groupArray(number) FROM numbers(10000000)", max_memory_usage=10_000_000)
    assert code(memory) == "241"
    assert code(run(http, "CREATE TABLE t (a UInt8) ENGINE = Memory", readonly=1)) == "164"


def test_inserts_with_every_packing(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a").raise_for_status()
    data = b"".join(b'{"a":%d,"s":"text"}\n' % number for number in range(50_000))
    packings = {
        "": data,
        "gzip": gzip.compress(data),
        "zstd": zstandard.compress(data),
        "lz4": lz4.frame.compress(data),
    }
    insert = f"INSERT INTO {database}.t FORMAT JSONEachRow"
    for encoding, body in packings.items():
        headers = {"Content-Encoding": encoding} if encoding else {}
        answer = http.post("/", params={"query": insert}, content=body, headers=headers)
        assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "50000", answer.text
    framed = http.post("/", params={"query": insert, "decompress": 1}, content=FrameEncoder().encode(data))
    framed.raise_for_status()
    assert rows(http, f"SELECT count(), sum(a) FROM {database}.t") == f"250000\t{5 * 50_000 * 49_999 // 2}\n"
    assert (
        code(http.post("/", params={"query": insert}, content=b"junk", headers={"Content-Encoding": "gzip"})) == "271"
    )
    cut = gzip.compress(data)[:-100]
    assert code(http.post("/", params={"query": insert}, content=cut, headers={"Content-Encoding": "gzip"})) == "271"
    assert rows(http, f"SELECT count() FROM {database}.t") == "250000\n"


def test_results_with_every_packing(http: httpx.Client) -> None:
    sql = "SELECT number FROM numbers(300000) FORMAT RowBinary"
    plain = run(http, sql).content
    for encoding in ("gzip", "deflate"):
        answer = http.post(
            "/", params={"enable_http_compression": 1}, content=sql, headers={"Accept-Encoding": encoding}
        )
        assert answer.headers["Content-Encoding"] == encoding
        assert answer.content == plain
    for encoding, unpack in (
        ("lz4", lz4.frame.decompress),
        ("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ):
        request = http.build_request("POST", "/", params={"enable_http_compression": 1}, content=sql)
        request.headers["Accept-Encoding"] = encoding
        answer = http.send(request, stream=True)
        assert answer.headers["Content-Encoding"] == encoding
        assert unpack(b"".join(answer.iter_raw())) == plain
    framed = run(http, sql, compress=1).content
    decoder = FrameDecoder()
    assert decoder.decode(framed) + decoder.finish() == plain
    assert run(http, "SELECT 1 WHERE 0", compress=1).content == b""
    unasked = http.post("/", content="SELECT 1", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in unasked.headers


def test_large_values_and_settings_in_an_insert(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a").raise_for_status()
    values = ", ".join(f"({number}, 'it''s; VALUES (1) FORMAT x')" for number in range(30_000))
    run(http, f"INSERT INTO {database}.t (a, s) SETTINGS async_insert = 0 VALUES {values};").raise_for_status()
    run(http, f"INSERT INTO {database}.t (a) VALUES ({{x:UInt64}}), (1 + 1)", param_x=7).raise_for_status()
    assert rows(http, f"SELECT count(), countIf(s LIKE '%VALUES%') FROM {database}.t") == "30002\t30000\n"


def test_insert_select_from_input(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a").raise_for_status()
    sql = f"INSERT INTO {database}.t SELECT a * 2, upper(s) FROM input('a UInt8, s String') FORMAT CSV"
    http.post("/", params={"query": sql}, content="1,one\n2,two\n").raise_for_status()
    assert rows(http, f"SELECT * FROM {database}.t ORDER BY a") == "2\tONE\n4\tTWO\n"
    assert code(run(http, f"INSERT INTO {database}.t SELECT 1, 'x' FORMAT CSV\n1,x")) == "62"


def test_a_broken_insert_leaves_nothing_of_its_block(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    lines = b"1\n" * 100_000 + b"not a number\n" + b"1\n" * 3_000_000
    answer = http.post("/", params={"query": f"INSERT INTO {database}.t FORMAT CSV"}, content=lines)
    assert answer.status_code == 400
    assert rows(http, f"SELECT count() FROM {database}.t") == "0\n"


@pytest.mark.parametrize(
    ("table", "want"),
    [
        ("(a UInt64, CONSTRAINT small CHECK a < 100) ENGINE = MergeTree ORDER BY a", "469"),
        ("(a UInt64) ENGINE = MergeTree PARTITION BY a ORDER BY a", "252"),
        ("(a UInt64, b String DEFAULT throwIf(a > 100)) ENGINE = MergeTree ORDER BY a", "395"),
    ],
)
def test_rows_that_the_table_refuses_are_not_lost_in_silence(
    http: httpx.Client, database: str, table: str, want: str
) -> None:
    run(http, f"CREATE TABLE {database}.t {table}").raise_for_status()
    lines = "".join(f"{number}\n" for number in range(200))
    assert code(http.post("/", params={"query": f"INSERT INTO {database}.t (a) FORMAT CSV"}, content=lines)) == want
    assert rows(http, f"SELECT count() FROM {database}.t") == "0\n"


def test_a_failing_view_fails_the_insert(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    select = f"SELECT throwIf(a = 5) AS x FROM {database}.t"
    view = f"CREATE MATERIALIZED VIEW {database}.v ENGINE = MergeTree ORDER BY x AS {select}"
    run(http, view).raise_for_status()
    assert code(run(http, f"INSERT INTO {database}.t FORMAT CSV\n5\n")) == "395"
    run(http, f"INSERT INTO {database}.t FORMAT CSV\n6\n").raise_for_status()
    assert rows(http, f"SELECT count() FROM {database}.v") == "1\n"


def test_a_token_makes_a_repeated_insert_one(http: httpx.Client, database: str) -> None:
    options = "SETTINGS non_replicated_deduplication_window = 100"
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a {options}").raise_for_status()
    for _ in range(2):
        insert = {"query": f"INSERT INTO {database}.t FORMAT CSV", "insert_deduplication_token": "batch-1"}
        http.post("/", params=insert, content="1\n2\n").raise_for_status()
    assert rows(http, f"SELECT count() FROM {database}.t") == "2\n"


def test_an_error_after_the_first_bytes_is_in_the_body(http: httpx.Client) -> None:
    sql = "SELECT number, throwIf(number = 2900000, 'too far') FROM numbers(3000000) FORMAT CSV"
    received = b""
    with http.stream("POST", "/", content=sql) as answer, pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012
        assert answer.status_code == 200
        tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
        for piece in answer.iter_raw():
            received += piece
    found = re.search(
        rb"\r\n__exception__\r\n" + tag + rb"\r\n(.*)\n(\d+) " + tag + rb"\r\n__exception__\r\n$", received, re.DOTALL
    )
    assert found
    assert b"too far" in found[1]
    assert int(found[2]) == len(found[1]) + 1


def test_waiting_for_the_end_gives_a_late_error_its_status(http: httpx.Client) -> None:
    sql = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000) FORMAT CSV"
    answer = run(http, sql, wait_end_of_query=1)
    assert (answer.status_code, code(answer)) == (500, "395")


def test_the_summary_counts(http: httpx.Client, database: str) -> None:
    answer = run(http, "SELECT number FROM numbers(1000)")
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("1000", "1000")
    assert int(summary["elapsed_ns"]) > 0
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = Memory").raise_for_status()
    written = json.loads(run(http, f"INSERT INTO {database}.t VALUES (1), (2)").headers["X-ClickHouse-Summary"])
    assert (written["written_rows"], int(written["written_bytes"]) > 0) == ("2", True)
    selected = run(http, f"INSERT INTO {database}.t SELECT number FROM numbers(5)").headers["X-ClickHouse-Summary"]
    assert json.loads(selected)["written_rows"] == "5"


def test_a_command_has_no_result(http: httpx.Client, database: str) -> None:
    answer = run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = Memory")
    assert "X-ClickHouse-Format" not in answer.headers
    assert answer.content == b""


class TestSessions:
    def test_keep_settings_tables_and_database(self, http: httpx.Client, database: str) -> None:
        session = uuid.uuid4().hex
        for sql in (f"USE {database}", "SET max_block_size = 17", "CREATE TEMPORARY TABLE kept (a UInt8)"):
            run(http, sql, session_id=session).raise_for_status()
        run(http, "INSERT INTO kept VALUES (1), (2)", session_id=session).raise_for_status()
        sql = "SELECT currentDatabase(), getSetting('max_block_size'), sum(a) FROM kept"
        assert rows(http, sql, session_id=session) == f"{database}\t17\t3\n"
        assert rows(http, "SELECT getSetting('max_block_size')") != "17\n"

    def test_what_the_url_sets_holds_for_one_request(self, http: httpx.Client, database: str) -> None:
        session = uuid.uuid4().hex
        run(http, "SET max_block_size = 17", session_id=session).raise_for_status()
        sql = "SELECT getSetting('max_block_size'), getSetting('max_result_rows'), currentDatabase()"
        got = rows(http, sql, session_id=session, max_block_size=19, max_result_rows=30, database=database)
        assert got == f"19\t30\t{database}\n"
        assert rows(http, sql, session_id=session) == "17\t0\tdefault\n"

    def test_end_when_told(self, http: httpx.Client) -> None:
        session = uuid.uuid4().hex
        run(http, "CREATE TEMPORARY TABLE kept (a UInt8)", session_id=session).raise_for_status()
        run(http, "SELECT 1", session_id=session, close_session=1).raise_for_status()
        assert code(run(http, "SELECT 1", session_id=session, session_check=1)) == "372"

    def test_end_after_their_time(self, http: httpx.Client) -> None:
        session = uuid.uuid4().hex
        run(http, "SELECT 1", session_id=session, session_timeout=0).raise_for_status()
        asked_again: dict[str, str | int] = {"session_id": session, "session_timeout": 0, "session_check": 1}
        eventually(lambda: code(run(http, "SELECT 1", **asked_again)) == "372")

    def test_bad_timeouts_are_refused(self, http: httpx.Client) -> None:
        assert code(run(http, "SELECT 1", session_id="x", session_timeout=100_000)) == "374"
        assert code(run(http, "SELECT 1", session_id="x", session_timeout="soon")) == "36"

    def test_serve_one_request_at_a_time(self, server: ClickHouseServer, http: httpx.Client) -> None:
        session, query = uuid.uuid4().hex, uuid.uuid4().hex
        running = start_endless(server, session_id=session, query_id=query, log_comment=query)
        eventually(lambda: running_marked(http, query) == 1)
        assert code(run(http, "SELECT 1", session_id=session)) == "373"
        run(http, f"KILL QUERY WHERE query_id = '{query}' SYNC").raise_for_status()
        running.join(10)
        assert rows(http, "SELECT 1", session_id=session) == "1\n"


def start_endless(server: ClickHouseServer, **parameters: str) -> threading.Thread:
    """Run a query that never ends by itself."""

    def endless() -> None:
        login = (server.user, server.password)
        sql = "SELECT count() FROM system.numbers WHERE NOT ignore(number)"
        httpx.post(server.url, content=sql, params=parameters, auth=login, timeout=30)

    thread = threading.Thread(target=endless)
    thread.start()
    return thread


def running_marked(http: httpx.Client, comment: str) -> int:
    sql = f"SELECT count() FROM system.processes WHERE Settings['log_comment'] LIKE '{comment}%'"
    return int(rows(http, sql))


def test_a_query_is_killed_by_the_id_that_its_client_gave(server: ClickHouseServer, http: httpx.Client) -> None:
    query = uuid.uuid4().hex
    running = start_endless(server, query_id=query, log_comment=query)
    eventually(lambda: running_marked(http, query) == 1)
    assert code(run(http, "SELECT 1", query_id=query)) == "216"
    run(http, f"KILL QUERY WHERE query_id = '{query}' SYNC").raise_for_status()
    running.join(10)
    assert not running.is_alive()
    assert running_marked(http, query) == 0


def test_a_query_stops_when_its_client_goes_away(server: ClickHouseServer, http: httpx.Client) -> None:
    comment = uuid.uuid4().hex
    login = (server.user, server.password)
    for sql in ("SELECT count() FROM system.numbers WHERE NOT ignore(number)", "SELECT number FROM system.numbers"):
        with httpx.Client(base_url=server.url, auth=login, timeout=1) as impatient, pytest.raises(httpx.ReadTimeout):  # noqa: PT012, SIM117
            with impatient.stream("POST", "/", params={"log_comment": comment}, content=sql) as answer:
                next(answer.iter_raw())
                raise httpx.ReadTimeout("read enough")
        eventually(lambda: running_marked(http, comment) == 0)


def test_an_insert_stops_when_its_client_goes_away(server: ClickHouseServer, http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()

    def some_rows() -> object:
        yield b"1\n" * 1_500_000
        raise ConnectionAbortedError

    login = (server.user, server.password)
    with pytest.raises(ConnectionAbortedError):
        httpx.post(
            server.url,
            params={"query": f"INSERT INTO {database}.t FORMAT CSV", "log_comment": database},
            content=some_rows(),  # type: ignore[arg-type]
            auth=login,
        )
    eventually(lambda: running_marked(http, database) == 0)
    assert rows(http, f"SELECT count() FROM {database}.t") == "0\n"


def test_external_tables_and_form_fields(http: httpx.Client) -> None:
    files = {"people": ("people", b"1,ann\n2,bob\n"), "more": ("more", b"7\t[1,2]\n")}
    parameters = {
        "people_structure": "id UInt8, name String",
        "people_format": "CSV",
        "more_types": "UInt8, Array(UInt8)",
        "query": "SELECT name, {x:UInt8}, (SELECT _1 FROM more) FROM people ORDER BY id",
    }
    answer = http.post("/", params=parameters, files=files, data={"param_x": "5"})
    assert answer.text == "ann\t5\t7\nbob\t5\t7\n"
    untyped = http.post("/", params={"query": "SELECT 1"}, files={"people": ("people", b"1")})
    assert code(untyped) == "36"
    session = {"session_id": uuid.uuid4().hex}
    for _ in range(2):
        assert http.post("/", params=parameters | session, files=files, data={"param_x": "5"}).status_code == 200


def test_a_table_is_backed_up_and_restored(http: httpx.Client, database: str) -> None:
    run(http, f"CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
    run(http, f"INSERT INTO {database}.t VALUES (1), (2)").raise_for_status()
    archive = f"File('{uuid.uuid4().hex}.tar.gz')"
    assert "BACKUP_CREATED" in rows(http, f"BACKUP TABLE {database}.t TO {archive}")
    run(http, f"DROP TABLE {database}.t SYNC").raise_for_status()
    assert "RESTORED" in rows(http, f"RESTORE TABLE {database}.t FROM {archive}")
    assert rows(http, f"SELECT sum(a) FROM {database}.t") == "3\n"


def test_many_requests_at_once(server: ClickHouseServer) -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        login = (server.user, server.password)
        with httpx.Client(base_url=server.url, auth=login, timeout=30) as client:
            answers.extend(client.post("/", content=f"SELECT {number}, sleep(0.01)").text for _ in range(5))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(f"{number}\t0\n" for number in range(8) for _ in range(5))
