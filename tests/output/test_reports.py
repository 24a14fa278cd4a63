"""Plans, streams, findings and services as people see them."""

from __future__ import annotations

from tests.output import samples
from tests.output.samples import console, printed
from thedata_cli.health import CheckResult, CheckStatus
from thedata_cli.output.checks import DoctorReport, print_doctor, verdict
from thedata_cli.output.plan import print_apply, print_change, print_plan
from thedata_cli.output.publishing import PublishReport, print_publish
from thedata_cli.output.status import print_status
from thedata_cli.output.streams import print_stream, print_streams
from thedata_cli.plan.changes import Plan
from thedata_cli.stack.live_stack import ApplyReport


def test_a_plan_shows_every_statement_with_its_cause_and_its_loss() -> None:
    target = console()
    print_plan(target, samples.PLAN)
    assert (
        printed(target)
        == """\
! questdb/table/weather exists and was created by project 'another'
    tables/weather.yaml:2:1
    take it over with --adopt questdb/table/weather, or rename yours

- nats/stream/old: no longer declared
    loses 12 messages
    $JS.API.STREAM.DELETE.old

+ nats/stream/departures: declared, not found
    streams/departures.yaml:2:1
    $JS.API.STREAM.CREATE.departures
    {"name":"departures","subjects":["flights.departures.>"]}

~ clickhouse/table/delays: ttl differs
    tables/delays.yaml:9:6
    loses rows older than 30 days
    ttl: hour + toIntervalDay(90) → hour + toIntervalDay(30)
    ALTER TABLE flights.delays
      MODIFY TTL hour + toIntervalDay(30)

Plan: 1 to create, 1 to update, 0 to replace, 1 to delete
"""
    )


def test_an_empty_plan_is_one_line() -> None:
    target = console()
    print_plan(target, Plan())
    assert printed(target) == "No changes: the stack is as the project declares it.\n"


def test_data_loss_is_red_on_a_terminal() -> None:
    target = console(is_terminal=True)
    print_plan(target, samples.PLAN)
    assert "\x1b[1;31m    loses 12 messages\x1b[0m" in printed(target)


def test_an_apply_that_failed_says_where_and_what_was_not_tried() -> None:
    target = console()
    for applied in samples.REPORT.changes[:2]:
        print_change(target, applied)
    print_apply(target, samples.REPORT)
    assert (
        printed(target)
        == """\
✓ deleted nats/stream/old
✗ create nats/stream/departures failed
✗ create nats/stream/departures: nats at 127.0.0.1:4222 does not answer
    streams/departures.yaml:2:1
    hint: start it with `thedata up`
- not tried: update clickhouse/table/delays
Applied: 1 done, 1 failed, 1 not tried
"""
    )


def test_an_apply_without_changes_is_one_line() -> None:
    target = console()
    print_apply(target, ApplyReport())
    assert printed(target) == "Nothing to do: the stack is as the project declares it.\n"


def test_streams_are_a_line_each() -> None:
    target = console()
    print_streams(target, [samples.EMPTY_STREAM, samples.STREAM])
    assert (
        printed(target)
        == """\
STREAM        SUBJECTS              MESSAGES     SIZE  LAST MESSAGE          CONSUMERS  LAG
dead-letters  dead-letters.>               0      0 B  -                             0    -
departures    flights.departures.>    336776  71.2 MB  2013-01-01T10:16:00Z          1    5
"""
    )


def test_one_stream_with_consumers_and_configuration() -> None:
    target = console()
    print_stream(target, samples.STREAM)
    assert (
        printed(target)
        == """\
Stream departures
  subjects  flights.departures.>
  messages  336776
  size      71.2 MB
  first     sequence 1, 2013-01-01T10:15:00Z
  last      sequence 336776, 2013-01-01T10:16:00Z

Consumers
NAME                           LAG  UNACKNOWLEDGED  REDELIVERED
departures-questdb-departures    5               2            0

Configuration
  storage  file
  max_age  0
"""
    )
    print_stream(console(), samples.EMPTY_STREAM)


def test_doctor_names_cause_and_fix_of_each_problem_and_ends_with_the_verdict() -> None:
    target = console()
    print_doctor(target, samples.DOCTOR)
    assert (
        printed(target)
        == """\
Machine
  ✓ machine.disk     20.1 GB free
  - machine.docker   not needed by the embedded target
Project
  ✓ project.files    valid
Stack
  ! questdb.version  9.3.3 runs, 9.3.4 is wanted
      the service was started by an earlier release
      fix: thedata restart questdb
  ✗ nats.check       cannot be checked
      nats does not answer
      fix: thedata up
Not healthy: 1 problem: nats.check, and 1 warning
"""
    )


def test_the_verdict_when_all_is_well() -> None:
    report = DoctorReport(
        {"machine": [CheckResult("a", CheckStatus.OK, ""), CheckResult("b", CheckStatus.SKIPPED, "")]}
    )
    assert verdict(report) == "Healthy: 1 check passed, 1 skipped"


def test_services_are_a_line_each_and_say_why_they_are_not_well() -> None:
    target = console()
    print_status(target, samples.STATUS)
    assert (
        printed(target)
        == """\
flights on embedded
SERVICE  STATE      VERSION  PORTS                      URL                       UPTIME  RESTARTS  LAG
nats     healthy    2.15.1   client 4222, monitor 8222  http://127.0.0.1:8222  1 h 2 min         0    -
worker   unhealthy  0.1.0    -                          -                          3.5 s         2   15
worker: questdb is down
"""
    )


def test_what_pub_did_is_one_line() -> None:
    target = console()
    print_publish(target, PublishReport(published=10, duplicates=1, skipped=2, seconds=1.5))
    assert (
        printed(target)
        == "published 10 messages in 1.5 s; 1 were there already; 2 broke the contract and were skipped\n"
    )
