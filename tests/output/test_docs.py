"""docs/output.md shows what the commands print: every example is compared with real output."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.output import samples
from thedata_cli.output.checks import doctor_document
from thedata_cli.output.console import error_document
from thedata_cli.output.demo import demo_document
from thedata_cli.output.messages import message_line
from thedata_cli.output.plan import apply_document, plan_document
from thedata_cli.output.project import (
    InitReport,
    blueprint_document,
    blueprints_document,
    check_document,
    init_document,
)
from thedata_cli.output.publishing import PublishReport, publish_document
from thedata_cli.output.row_format import RowFormat
from thedata_cli.output.services import down_document
from thedata_cli.output.status import status_document
from thedata_cli.output.streams import stream_document, streams_document
from thedata_cli.output.table import print_table
from thedata_cli.output.up import UpReport, up_document
from thedata_cli.output.view_changes import FollowedView, change_line, pretty_change
from thedata_cli.stack.live_stack import ApplyReport
from thedata_cli.targets.status import StackStatus

PAGE = (Path(__file__).parent.parent.parent / "docs" / "output.md").read_text()

assert samples.REPORT.failure
assert samples.REPORT.failure.error

DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    "thedata/plan/1": plan_document(samples.PLAN),
    "thedata/apply/1": apply_document(samples.REPORT),
    "thedata/streams/1": streams_document([samples.EMPTY_STREAM, samples.STREAM]),
    "thedata/stream/1": stream_document(samples.STREAM),
    "thedata/pub/1": publish_document(PublishReport(published=336776, duplicates=0, skipped=0, seconds=4.211)),
    "thedata/doctor/1": doctor_document(samples.DOCTOR),
    "thedata/status/1": status_document(samples.STATUS),
    "thedata/up/1": up_document(UpReport(StackStatus("flights", "embedded", ()), ApplyReport())),
    "thedata/down/1": down_document(samples.DOWN),
    "thedata/demo/1": demo_document(samples.DEMO),
    "thedata/init/1": init_document(InitReport(Path("/srv/flights"), samples.FLIGHTS, [Path("thedata.yaml")])),
    "thedata/check/1": check_document(samples.PROJECT),
    "thedata/blueprints/1": blueprints_document([samples.FLIGHTS]),
    "thedata/blueprint/1": blueprint_document(samples.FLIGHTS),
    "Errors": error_document(samples.REPORT.failure.error),
}


def examples(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize("heading", DOCUMENTS)
def test_the_example_of_a_document_is_what_is_printed(heading: str) -> None:
    (example,) = examples(heading)
    document = json.loads(json.dumps(DOCUMENTS[heading]))
    assert json.loads(example) == document
    assert list(json.loads(example)) == list(document)
    if "/" in heading:
        assert document["schema"] == heading


def test_the_examples_of_rows_are_what_is_printed() -> None:
    console = samples.console()
    asyncio.run(print_table(samples.DELAYS, console))
    formats = (RowFormat.CSV, RowFormat.JSON, RowFormat.JSONL, RowFormat.MARKDOWN)
    expected = [*(samples.written(format, samples.DELAYS) for format in formats), samples.printed(console)]
    assert examples("Rows") == expected


def test_the_examples_of_messages_are_what_is_printed() -> None:
    assert examples("Messages") == [
        message_line(samples.MESSAGE).decode(),
        message_line(samples.BINARY_MESSAGE).decode(),
    ]


def test_the_examples_of_changes_are_what_is_printed() -> None:
    def written(view: FollowedView) -> str:
        return "".join(change_line(view, samples.CHANGES, change).decode() for change in samples.CHANGES.changes)

    def shown(view: FollowedView) -> str:
        return "".join(pretty_change(view, samples.CHANGES, change) + "\n" for change in samples.CHANGES.changes)

    views = (samples.FOLLOWED, samples.FOLLOWED_BY_KEY)
    assert examples("Changes of views") == [*map(written, views), *map(shown, views)]
