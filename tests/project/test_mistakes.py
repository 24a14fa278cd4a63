"""One case for each kind of mistake: what is written, and what the user reads, with line and column."""

# ruff: noqa: E501 (a case is easier to read when each file and each mistake is one line)

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project.conftest import Files

CASES: list[tuple[str, Files, list[str]]] = [
    (
        "an unknown key",
        {"streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nretension: limits\n"},
        ["streams/departures.yaml:3:1: retension: unknown key; did you mean 'retention'?"],
    ),
    (
        "a value of the wrong type",
        {"streams/departures.yaml": "name: departures\nsubjects: flights.departures.>\n"},
        ["streams/departures.yaml:2:11: subjects: the text 'flights.departures.>' is not allowed here; write a list"],
    ),
    (
        "text where a number belongs",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\nbatch: {max_messages: '5'}\n"
        },
        ["pipelines/departures.yaml:4:23: batch.max_messages: the text '5' is not allowed here; write a whole number"],
    ),
    (
        "a number where text belongs",
        {"thedata.yaml": "name: flights\ncomponents: {nats: {version: 2.10}, questdb: {}, clickhouse: {}}\n"},
        [
            "thedata.yaml:2:30: components.nats.version: the number 2.10 is not allowed here; for text, put it in quotes: '2.10'"
        ],
    ),
    (
        "a number out of range",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\nbatch: {max_messages: 0}\n"
        },
        ["pipelines/departures.yaml:4:23: batch.max_messages: the number 0 is not allowed here; write at least 1"],
    ),
    (
        "a wrong choice",
        {"streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nretention: limit\n"},
        ["streams/departures.yaml:3:12: retention: the text 'limit' is not allowed here; did you mean 'limits'?"],
    ),
    (
        "a choice nothing is near to",
        {"streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nstorage: tape\n"},
        ["streams/departures.yaml:3:10: storage: the text 'tape' is not allowed here; write file or memory"],
    ),
    (
        "no branch of a union",
        {
            "streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nconsumers:\n  - {name: a, deliver: [1]}\n"
        },
        [
            "streams/departures.yaml:4:24: consumers.0.deliver: a list is not allowed here; write all, last, new or last_per_subject or a mapping"
        ],
    ),
    (
        "inside one branch of a union",
        {
            "streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nconsumers:\n  - name: a\n    deliver: {start_sequence: 0}\n"
        },
        [
            "streams/departures.yaml:5:31: consumers.0.deliver.start_sequence: the number 0 is not allowed here; write more than 0"
        ],
    ),
    (
        "a duration",
        {"streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nmax_age: 3 weeks\n"},
        [
            "streams/departures.yaml:3:10: max_age: '3 weeks' is not a duration; write it as `500ms`, `10s`, `5m`, `2h`, `30d` or `1h30m`"
        ],
    ),
    (
        "a name",
        {"streams/departures.yaml": "name: my departures\nsubjects: [flights.departures.>]\n"},
        [
            "streams/departures.yaml:1:7: name: the text 'my departures' is not allowed here; use letters, digits, `_` and `-`, with a letter or `_` first"
        ],
    ),
    (
        "a missing key",
        {"streams/x.yaml": "subjects: [x]\n"},
        ["streams/x.yaml:1:1: name: is missing"],
    ),
    (
        "an empty file",
        {"streams/x.yaml": ""},
        ["streams/x.yaml:1:1: the file is empty"],
    ),
    (
        "a duplicate key",
        {"streams/departures.yaml": "name: departures\nsubjects: [flights.departures.>]\nname: other\n"},
        ["streams/departures.yaml:3:1: name: the key is written twice; first in line 1"],
    ),
    (
        "duplicate names",
        {"streams/x.yaml": "name: departures\nsubjects: [x]\n"},
        ["streams/x.yaml:1:7: name: 'departures' is declared twice; first in streams/departures.yaml:1:7"],
    ),
    (
        "an unknown component",
        {"thedata.yaml": "name: flights\ncomponents:\n  nats: {}\n  questdb: {}\n  clickhouse: {}\n  quest: {}\n"},
        ["thedata.yaml:6:3: components.quest: unknown component 'quest'; did you mean 'questdb'?"],
    ),
    (
        "an unknown setting",
        {"thedata.yaml": "name: flights\ncomponents:\n  nats: {max_paylod: 1MB}\n  questdb: {}\n  clickhouse: {}\n"},
        ["thedata.yaml:3:10: components.nats.max_paylod: unknown key; did you mean 'max_payload'?"],
    ),
    (
        "no components",
        {"thedata.yaml": "name: flights\n"},
        ["thedata.yaml:1:1: components: is missing"],
    ),
    (
        "an unknown engine",
        {"tables/x.yaml": "engine: clickhose\nname: x\n"},
        ["tables/x.yaml:1:9: engine: unknown engine 'clickhose'; did you mean 'clickhouse'?"],
    ),
    (
        "no engine",
        {"tables/x.yaml": "name: x\n"},
        ["tables/x.yaml:1:1: engine: is missing; write `engine: clickhouse` or `engine: questdb`"],
    ),
    (
        "an engine the project has not got",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}}\n",
            "queries/late.sql": "-- engine: questdb\nselect 1\n",
        },
        [
            "pipelines/departures.yaml:3:30: tables.1: the project has no component 'clickhouse'; add `clickhouse: {}` under `components:` of thedata.yaml",
            "tables/clickhouse.yaml:1:9: engine: the project has no component 'clickhouse'; add `clickhouse: {}` under `components:` of thedata.yaml",
        ],
    ),
    (
        "an unknown kind",
        {"tables/x.yaml": "engine: clickhouse\nkind: veiw\nname: x\n"},
        ["tables/x.yaml:2:7: kind: unknown kind 'veiw'; did you mean 'view'?"],
    ),
    (
        "an unknown contract of a table",
        {"tables/x.yaml": "engine: clickhouse\nname: x\ncontract: departure\n"},
        ["tables/x.yaml:3:11: contract: unknown contract 'departure'; did you mean 'departures'?"],
    ),
    (
        "an unknown stream",
        {
            "pipelines/x.yaml": "name: x\nstream: departure\ntables: [clickhouse/departures]\n",
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\n",
        },
        ["pipelines/x.yaml:2:9: stream: unknown stream 'departure'; did you mean 'departures'?"],
    ),
    (
        "an unknown table",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables:\n  - questdb/departures\n  - clickhouse/departure\n"
        },
        [
            "pipelines/departures.yaml:5:5: tables.1: unknown table clickhouse/departure; did you mean 'clickhouse/departures'?"
        ],
    ),
    (
        "an unknown engine of a table",
        {"pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [qestdb/departures]\n"},
        ["pipelines/departures.yaml:3:10: tables.0: unknown engine 'qestdb'; did you mean 'questdb'?"],
    ),
    (
        "a table without its engine",
        {"pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [departures]\n"},
        [
            "pipelines/departures.yaml:3:10: tables.0: 'departures' does not name a table; write it as engine/name, such as `questdb/departures`"
        ],
    ),
    (
        "a view as the target",
        {
            "tables/v.yaml": "engine: clickhouse\nkind: view\nname: v\nquery: select 1\n",
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [clickhouse/v]\n",
        },
        [
            "pipelines/departures.yaml:3:10: tables.0: clickhouse/v is a view, which a pipeline cannot fill; name a table"
        ],
    ),
    (
        "one table, two pipelines",
        {"pipelines/x.yaml": "name: x\nstream: departures\ntables: [clickhouse/departures]\n"},
        [
            "pipelines/x.yaml:3:10: tables: clickhouse/departures is already fed by pipeline 'departures' (pipelines/departures.yaml:3:30); one table is fed by one pipeline"
        ],
    ),
    (
        "an unknown dead-letter stream",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\ndead_letters: graveyard\n"
        },
        ["pipelines/departures.yaml:4:15: dead_letters: unknown stream 'graveyard'; known: dead-letters, departures"],
    ),
    (
        "a subject the stream has not got",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\nsubject: flights.arrivals.*\ntables: [questdb/departures]\n"
        },
        [
            "pipelines/departures.yaml:3:10: subject: stream 'departures' has no subject that matches 'flights.arrivals.*'; it has flights.departures.>"
        ],
    ),
    (
        "a malformed subject",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\nsubject: flights..x\ntables: [questdb/departures]\n"
        },
        [
            "pipelines/departures.yaml:3:10: subject: 'flights..x' has an empty token; write tokens between single dots, as in `flights.*.>`"
        ],
    ),
    (
        "an unknown contract of a pipeline",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ncontract: depatures\ntables: [questdb/departures]\n"
        },
        ["pipelines/departures.yaml:3:11: contract: unknown contract 'depatures'; did you mean 'departures'?"],
    ),
    (
        "a contract for other subjects",
        {
            "contracts/weather.yaml": "x-subject: flights.weather\ntype: object\nproperties: {at: {type: string, format: date-time, x-event-time: true}}\nrequired: [at]\n",
            "tables/weather.yaml": "engine: clickhouse\nname: weather\ncontract: weather\n",
            "pipelines/x.yaml": "name: x\nstream: departures\ncontract: weather\ntables: [clickhouse/weather]\n",
        },
        [
            "pipelines/x.yaml:3:11: contract: contract 'weather' is for 'flights.weather', which the pipeline does not get; it gets flights.departures.>"
        ],
    ),
    (
        "no contract that matches",
        {
            "streams/x.yaml": "name: x\nsubjects: [x]\n",
            "tables/x.yaml": "engine: clickhouse\nname: x\ncontract: departures\n",
            "pipelines/x.yaml": "name: x\nstream: x\ntables: [clickhouse/x]\n",
        },
        [
            "pipelines/x.yaml:1:1: contract: no contract has a subject that matches x; write a contract with `x-subject: x`"
        ],
    ),
    (
        "two contracts that match",
        {
            "contracts/other.yaml": "x-subject: flights.departures.*\ntype: object\nproperties: {carrier: {type: string}}\nrequired: [carrier]\n",
            "streams/departures.yaml": "name: departures\nsubjects: [flights.departures.*]\n",
        },
        [
            "pipelines/departures.yaml:1:1: contract: is missing: departures or other would match; write which one is meant"
        ],
    ),
    (
        "a field without a column",
        {
            "tables/clickhouse.yaml": "engine: clickhouse\nname: departures\ncolumns: [{name: carrier, type: String}]\norder_by: [carrier]\n"
        },
        [
            "pipelines/departures.yaml:3:30: tables.1: clickhouse/departures has no column scheduled_at or delay_minutes, which contract 'departures' has; write `contract: departures` in the table, or add the columns"
        ],
    ),
    (
        "a query for an unknown engine",
        {"queries/late.sql": "-- engine: postgres\nselect 1\n"},
        ["queries/late.sql:1:12: engine: unknown engine 'postgres'; known: clickhouse, nats, questdb"],
    ),
    (
        "a query without an engine",
        {"queries/late.sql": "select 1\n"},
        ["queries/late.sql:1:1: engine: is missing; begin the file with a line `-- engine: NAME`"],
    ),
    (
        "a misspelt header",
        {"queries/late.sql": "-- engine: clickhouse\n-- desription: x\nselect 1\n"},
        ["queries/late.sql:2:4: desription: unknown header; did you mean 'description'?"],
    ),
    (
        "a query without SQL",
        {"queries/late.sql": "-- engine: clickhouse\n;\n"},
        ["queries/late.sql:1:1: the file has no SQL"],
    ),
    (
        "a chart",
        {"queries/late.sql": "-- engine: clickhouse\n-- chart: bar carrier\nselect 1\n"},
        ["queries/late.sql:2:11: chart: 'bar carrier' is no chart; write it as `bar x=COLUMN y=COLUMN`"],
    ),
    (
        "a feed of an unknown stream",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}}\nfeeds:\n  a: {stream: departure, command: [x], subject: a}\n"
        },
        ["thedata.yaml:4:15: feeds.a.stream: unknown stream 'departure'; did you mean 'departures'?"],
    ),
    (
        "a feed without a subject",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}}\nfeeds:\n  a: {stream: departures, command: [x]}\n"
        },
        [
            "thedata.yaml:4:6: feeds.a.subject: is missing: stream 'departures' has no single subject; write it as `flights.departures.{field}`"
        ],
    ),
    (
        "a feed of other subjects",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}}\nfeeds:\n  a: {stream: departures, command: [x], subject: 'weather.{carrier}.x'}\n"
        },
        [
            "thedata.yaml:4:50: feeds.a.subject: stream 'departures' has no subject that matches 'weather.{carrier}.x'; it has flights.departures.>"
        ],
    ),
    (
        "a feed without a command",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}}\nfeeds:\n  a: {stream: departures, command: [], subject: 'flights.departures.{x}'}\n"
        },
        ["thedata.yaml:4:36: feeds.a.command: has too few values; write 1 or more"],
    ),
    (
        "a wrong ending",
        {"tables/foo.yml": "engine: clickhouse\n"},
        ["tables/foo.yml: files that end in .yml are not read here; rename it to foo.yaml"],
    ),
    (
        "JSON where YAML is read",
        {"tables/foo.json": "{}"},
        ["tables/foo.json: files that end in .json are not read here; rename it to foo.yaml"],
    ),
    (
        "a misspelt directory",
        {"table/foo.yaml": "engine: clickhouse\n"},
        ["table: the files of table/ are not read; did you mean tables/?"],
    ),
    (
        "a directory of an absent component",
        {
            "thedata.yaml": "name: flights\ncomponents: {questdb: {}, clickhouse: {}}\n",
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\n",
        },
        [
            "pipelines/departures.yaml:2:9: stream: unknown stream 'departures'; there is none yet",
            "streams: the files of streams/ are not read; add `nats: {}` under `components:`",
        ],
    ),
    (
        "two contracts of one name",
        {"contracts/old/departures.json": "{}"},
        [
            "contracts/old/departures.json:1:1: contract 'departures' is declared twice; first in contracts/departures.yaml; rename one of the files"
        ],
    ),
    (
        "two queries of one name",
        {"queries/more/late.sql": "-- engine: clickhouse\nselect 1\n"},
        [
            "queries/more/late.sql:1:1: query 'late' is declared twice; first in queries/late.sql; rename one of the files"
        ],
    ),
    (
        "two pipelines of one name",
        {
            "pipelines/x.yaml": "name: departures\nstream: departures\ntables: [clickhouse/departures]\n",
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\n",
        },
        ["pipelines/x.yaml:1:7: name: 'departures' is declared twice; first in pipelines/departures.yaml:1:7"],
    ),
    (
        "an overlay's value",
        {"environments/prod.yaml": "components:\n  nats: {max_payload: 1kilo}\n"},
        [
            "environments/prod.yaml:2:23: components.nats.max_payload: '1kilo' is not a size; write it as `512MiB`, `10GB` or a number of bytes"
        ],
    ),
    (
        "an overlay's key",
        {"environments/prod.yaml": "components:\n  nats: {max_payload: 2MB, max: 1}\n"},
        [
            "environments/prod.yaml:2:28: components.nats.max: unknown key; known: max_file_store, max_memory_store, max_payload, sync_interval, version"
        ],
    ),
    (
        "an overlay that is no mapping",
        {"environments/prod.yaml": "[]"},
        ["environments/prod.yaml:1:1: the file holds a list; write a mapping, lines of `key: value`"],
    ),
    (
        "a mistake in the first environment and one in the second",
        {"environments/a.yaml": "nam: x\n", "environments/b.yaml": "components: {nats: {version: [1]}}\n"},
        [
            "environments/a.yaml:1:1: nam: unknown key; did you mean 'name'?",
            "environments/b.yaml:1:30: components.nats.version: a list is not allowed here; write text",
        ],
    ),
    (
        "a file that is not UTF-8",
        {"tables/x.yaml": b"name: \xff\n"},
        ["tables/x.yaml:1:7: the file is not UTF-8 text; save it as UTF-8"],
    ),
    (
        "a file that is no YAML",
        {"tables/x.yaml": "name: [x\n"},
        [
            "tables/x.yaml:2:1: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence that begins in line 1"
        ],
    ),
    (
        "a pipeline into a component without tables",
        {"pipelines/x.yaml": "name: x\nstream: departures\ntables: [nats/departures]\n"},
        ["pipelines/x.yaml:3:10: tables.0: component 'nats' has no tables; name a table of questdb or clickhouse"],
    ),
    (
        "dead letters that come back",
        {
            "pipelines/departures.yaml": "name: departures\nstream: departures\ntables: [questdb/departures]\ndead_letters: departures\n"
        },
        [
            "pipelines/departures.yaml:4:15: dead_letters: the dead letters would come back into the stream; name another stream"
        ],
    ),
    (
        "no component at all",
        {"thedata.yaml": "name: flights\ncomponents: {}\n"},
        [
            "thedata.yaml:2:13: components: the project has no component; "
            "name at least one: nats, questdb, clickhouse, materialize"
        ],
    ),
    (
        "settings that are no mapping",
        {"thedata.yaml": "name: flights\ncomponents: {nats: [], questdb: {}, clickhouse: {}}\n"},
        ["thedata.yaml:2:20: components.nats: a list is not allowed here; write a mapping"],
    ),
    (
        "components that are a list",
        {"thedata.yaml": "name: flights\ncomponents: [nats]\n"},
        ["thedata.yaml:2:13: components: a list is not allowed here; write a mapping"],
    ),
    (
        "mistakes of many files",
        {
            "contracts/departures.yaml": "x-subject: flights.departures.>\ntype: object\nproperties: {a: {type: sting}}\n",
            "streams/x.yaml": "name: x\n",
            "tables/x.yaml": "engine: questdb\nname: x\ncontract: nothing\n",
            "queries/late.sql": "select 1\n",
        },
        [
            "contracts/departures.yaml:3:24: properties.a.type: unknown type 'sting'; did you mean 'string'?",
            "queries/late.sql:1:1: engine: is missing; begin the file with a line `-- engine: NAME`",
            "streams/x.yaml:1:1: subjects: is missing",
            "tables/x.yaml:3:11: contract: unknown contract 'nothing'; known: departures",
        ],
    ),
    (
        "references to broken files are no mistakes of their own",
        {
            "contracts/departures.yaml": "x-subject: [\n",
            "streams/departures.yaml": "",
            "tables/questdb.yaml": "name: 1\n",
        },
        [
            "contracts/departures.yaml:2:1: not valid YAML: did not find expected node content, while parsing a flow node that begins in line 2",
            "streams/departures.yaml:1:1: the file is empty",
            "tables/questdb.yaml:1:1: engine: is missing; write `engine: clickhouse` or `engine: questdb`",
        ],
    ),
    (
        "a field that QuestDB cannot name",
        {
            "contracts/departures.yaml": "x-subject: flights.departures.>\ntype: object\nproperties: {'a:b': {type: string}, at: {type: string, format: date-time, x-event-time: true}}\nrequired: [at]\n",
            "tables/clickhouse.yaml": "engine: clickhouse\nname: departures\ncontract: departures\n",
        },
        [
            "tables/questdb.yaml:3:11: contract: QuestDB does not allow ':' in the column name 'a:b'; rename the field in contract 'departures'"
        ],
    ),
    (
        "what only the component sees",
        {"tables/x.yaml": "engine: questdb\nname: x\ntimestamp: at\ncolumns: [{name: a, type: LONG}]\n"},
        ["tables/x.yaml:3:12: timestamp: there is no column 'at'; did you mean 'a'?"],
    ),
    (
        "a pipeline that leads nowhere",
        {"pipelines/departures.yaml": "name: departures\nstream: departures\n"},
        [
            "pipelines/departures.yaml:1:1: tables: the pipeline leads nowhere; write `tables: [engine/name]` or `sources:`"
        ],
    ),
    (
        "a pipeline that reads a stream and a view",
        {
            "pipelines/x.yaml": "name: x\nview: materialize/v\nkey: [a]\nstream: departures\ntables: [clickhouse/departures]\n"
        },
        ["pipelines/x.yaml:4:9: stream: a pipeline reads a stream or a view, not both; make two files of it"],
    ),
    (
        "a view of a component that the project has not",
        {"pipelines/departures.yaml": "name: x\nview: materialize/v\nkey: [a]\ntables: [clickhouse/departures]\n"},
        [
            "pipelines/departures.yaml:2:7: view: the project has no component 'materialize'; add `materialize: {}` under `components:` of thedata.yaml"
        ],
    ),
    (
        "an unknown view, without a key",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}, materialize: {}}\n",
            "views/v.sql": "CREATE VIEW v AS SELECT 1 AS a",
            "views/serve.sql": "CREATE CLUSTER serve (SIZE = '25cc')",
            "pipelines/departures.yaml": "name: x\nview: materialize/vv\ntables: [clickhouse/departures]\n",
        },
        ["pipelines/departures.yaml:1:1: key: is missing"],
    ),
    (
        "an unknown view",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}, materialize: {}}\n",
            "views/v.sql": "CREATE VIEW v AS SELECT 1 AS a",
            "views/serve.sql": "CREATE CLUSTER serve (SIZE = '25cc')",
            "pipelines/departures.yaml": "name: x\nview: materialize/vv\nkey: [a, a]\ntables: [clickhouse/departure]\n",
        },
        [
            "pipelines/departures.yaml:2:7: view: unknown view materialize/vv; did you mean 'materialize/v'?",
            "pipelines/departures.yaml:3:10: key.1: 'a' is named twice; leave it out",
            "pipelines/departures.yaml:4:10: tables.0: unknown table clickhouse/departure; did you mean 'clickhouse/departures'?",
        ],
    ),
    (
        "a cluster as a view",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}, materialize: {}}\n",
            "views/v.sql": "CREATE VIEW v AS SELECT 1 AS a",
            "views/serve.sql": "CREATE CLUSTER serve (SIZE = '25cc')",
            "pipelines/x.yaml": "name: x\nview: materialize/serve\nkey: [a]\ntables: [clickhouse/departures]\n",
        },
        ["pipelines/x.yaml:2:7: view: materialize/serve is a cluster, which a pipeline cannot read; name a view"],
    ),
    (
        "a view as a source",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}, materialize: {}}\n",
            "views/v.sql": "CREATE VIEW v AS SELECT 1 AS a",
            "views/serve.sql": "CREATE CLUSTER serve (SIZE = '25cc')",
            "pipelines/departures.yaml": "name: x\nstream: departures\nsources: [materialize/v]\n",
        },
        [
            "pipelines/departures.yaml:3:11: sources.0: materialize/v is a view, which a pipeline cannot fill; name a source"
        ],
    ),
    (
        "a broken view hides what it declares",
        {
            "thedata.yaml": "name: flights\ncomponents: {nats: {}, questdb: {}, clickhouse: {}, materialize: {}}\n",
            "views/v.sql": "CREATE VIEW",
            "pipelines/departures.yaml": "name: x\nstream: departures\nsources: [materialize/v]\n",
        },
        ["views/v.sql:1:8: a name is missing here"],
    ),
]


@pytest.mark.parametrize(("files", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_mistake_is_named_with_its_place(
    mistakes: Callable[[Files], list[str]], files: Files, expected: list[str]
) -> None:
    assert mistakes(files) == expected
