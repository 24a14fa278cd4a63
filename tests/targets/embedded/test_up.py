"""`up`: order, speed, what it tells, and what it says when a service does not come up."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.targets.embedded.fake_components import OVERTAKERS, fake
from tests.targets.embedded.lab import Lab, get
from thedata_cli.errors import ServiceStartError, ServiceUnreachableError, UsageError
from thedata_cli.targets.embedded.states import ServicePhase

pytestmark = pytest.mark.live


async def test_services_start_together_and_each_after_what_it_depends_on(lab: Lab) -> None:
    target = lab.target(
        fake("first", "--healthy-after", "0.4"),
        fake("second", depends_on=["first"]),
        fake("alone", "--healthy-after", "0.4"),
    )
    states = await lab.up(target)
    assert {state.state for state in states.values()} == {ServicePhase.HEALTHY}
    assert lab.moment("alone", ServicePhase.STARTING) < lab.moment("first", ServicePhase.HEALTHY)
    assert lab.moment("second", ServicePhase.STARTING) >= lab.moment("first", ServicePhase.HEALTHY)
    assert get(states["second"].ports["http"]) == str(states["second"].pid)


async def test_a_second_up_changes_nothing_and_says_so(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two"))
    before = await lab.up(target)
    after = await lab.up(target)
    assert lab.changed() == set()
    assert "already runs" in lab.details("one")
    assert {state.pid for state in after.values()} == {state.pid for state in before.values()}


async def test_only_what_changed_is_restarted(lab: Lab) -> None:
    one, two, three = fake("one"), fake("two", secret="word"), fake("three")
    before = await lab.up(lab.target(one, two, three, secrets={"word": "old"}))

    await lab.up(lab.target(one.model_copy(update={"settings": "threads = 2"}), two, three, secrets={"word": "old"}))
    assert lab.changed() == {"one"}
    assert "in place of" in lab.details("one")
    await lab.up(lab.target(one, two, three.model_copy(update={"version": "2.0"}), secrets={"word": "old"}))
    assert lab.changed() == {"one", "three"}
    after = await lab.up(lab.target(one, two, three, secrets={"word": "new"}))
    assert lab.changed() == {"two", "three"}
    assert after["one"].pid != before["one"].pid
    assert "FAKE_WORD=new" in get(after["two"].ports["http"], "/env")


async def test_a_service_that_left_the_project_is_stopped(lab: Lab) -> None:
    one, two = fake("one"), fake("two")
    await lab.up(lab.target(one, two))
    states = await lab.up(lab.target(one))
    assert list(states) == ["one"]
    assert lab.phases("two") == [ServicePhase.STOPPING, ServicePhase.STOPPED]
    assert len(lab.processes()) == 1


async def test_a_service_that_dies_is_told_at_once_with_the_line_of_this_start(lab: Lab) -> None:
    well = fake("well")
    broken = fake("broken", "--say", "error: of an earlier start", "--die", "1")
    with pytest.raises(ServiceStartError):
        await lab.up(lab.target(well, broken))

    changed = broken.model_copy(update={"arguments": ("--say", "hello", "--say", "FATAL: no store", "--die", "7")})
    began = time.monotonic()
    with pytest.raises(ServiceStartError) as raised:
        await lab.up(lab.target(well, changed), timeout_s=60)
    assert time.monotonic() - began < 5
    assert raised.value.message == "broken exited with code 7"
    assert raised.value.detail == "broken: FATAL: no store"
    assert raised.value.hint == "`thedata logs broken` shows more"

    states = {state.service: state for state in await lab.target(well, changed).status()}
    assert states["well"].state is ServicePhase.HEALTHY
    assert states["broken"].state is ServicePhase.FAILED
    assert "exited with code 7" in states["broken"].detail
    mended = await lab.up(lab.target(well, broken.model_copy(update={"arguments": ()})))
    assert mended["broken"].state is ServicePhase.HEALTHY


async def test_what_depends_on_a_failed_service_is_not_started(lab: Lab) -> None:
    with pytest.raises(ServiceStartError) as raised:
        await lab.up(lab.target(fake("base", "--die", "1"), fake("top", depends_on=["base"])))
    assert "top was not started: it needs base, which failed" in raised.value.message
    assert lab.processes() == []


async def test_a_service_that_hangs_is_found_by_the_limit_and_the_others_run(lab: Lab) -> None:
    deaf = fake("deaf", "--never-listen")
    ill = fake("ill", "--status", "503")
    target = lab.target(deaf, ill, fake("well"))
    with pytest.raises(ServiceStartError) as raised:
        await lab.up(target, timeout_s=0.6)
    assert f"deaf is not healthy after 0.6 s: http://127.0.0.1:{deaf.ports['http']}/health refused" in str(raised.value)
    assert f":{ill.ports['http']}/health answered 503 instead of 200" in str(raised.value)
    states = {state.service: state.state for state in await target.status()}
    assert states == {
        "deaf": ServicePhase.UNHEALTHY,
        "ill": ServicePhase.UNHEALTHY,
        "well": ServicePhase.HEALTHY,
    }


async def test_a_service_that_has_stopped_answering_is_started_again(lab: Lab) -> None:
    target = lab.target(fake("ill"), fake("well"))
    before = await lab.up(target)
    psutil.Process(before["ill"].pid).suspend()
    while (await target.status())[0].uptime_s < 1:  # type: ignore[operator]
        pass
    after = await lab.up(target, timeout_s=1)
    assert "gave no answer within 2 s; it is started again" in lab.details("ill")
    assert after["ill"].state is ServicePhase.HEALTHY
    assert after["ill"].pid != before["ill"].pid
    assert after["well"].pid == before["well"].pid


async def test_what_is_missing_is_named_with_the_way_to_get_it(lab: Lab) -> None:
    with pytest.raises(ServiceStartError) as raised:
        await lab.up(
            lab.target(
                fake("nothing", missing="the program x is not installed"),
                fake("nowhere", program="/no/such/program"),
                fake("secretive", secret="word"),
                fake("well"),
            )
        )
    assert "nothing cannot be prepared: the program x is not installed" in raised.value.message
    assert "install it" in raised.value.hint
    assert "nowhere cannot be started: No such file or directory: /no/such/program" in raised.value.message
    assert "secretive cannot be prepared: the secret word is missing" in raised.value.message
    assert lab.changed() == {"well"}


async def test_a_port_that_somebody_takes_in_the_meantime_is_told_with_its_holder(lab: Lab) -> None:
    late = fake("late", is_overtaken=True)
    try:
        with pytest.raises(ServiceStartError) as raised:
            await lab.up(lab.target(late))
    finally:
        OVERTAKERS.pop().close()
    assert f"late exited with code 1: port {late.ports['http']} is taken by pid " in raised.value.message
    assert "Address already in use" in raised.value.detail


async def test_restart_replaces_one_process(lab: Lab) -> None:
    target = lab.target(fake("one"), fake("two", depends_on=["one"]))
    before = await lab.up(target)
    after = {state.service: state for state in await target.restart("one", on_event=lab.events.append)}
    assert after["one"].pid != before["one"].pid
    assert after["two"].pid == before["two"].pid
    with pytest.raises(UsageError, match="no service 'three'"):
        await target.restart("three", on_event=lab.events.append)


async def test_down_stops_what_depends_on_others_first(lab: Lab) -> None:
    target = lab.target(fake("base"), fake("top", depends_on=["base"]))
    await lab.up(target)
    states = await lab.down(target)
    assert {state.state for state in states.values()} == {ServicePhase.STOPPED}
    assert lab.moment("top", ServicePhase.STOPPED) <= lab.moment("base", ServicePhase.STOPPING)
    assert lab.processes() == []
    await lab.down(target)
    assert lab.events == []


async def test_a_service_that_does_not_end_is_killed_with_all_it_started(lab: Lab) -> None:
    target = lab.target(fake("stubborn", "--ignore-term", "--grandchild", stop_timeout_s=1))
    await lab.up(target)
    assert len(lab.processes()) == 2
    await lab.down(target)
    assert "killed, as it did not end within 1 s" in lab.details("stubborn")
    assert lab.processes() == []


async def test_endpoints_are_known_after_the_first_up(lab: Lab) -> None:
    one = fake("one", secret="word")
    target = lab.target(one, secrets={"word": "hush", "other": "not for it"})
    with pytest.raises(ServiceUnreachableError) as raised:
        target.endpoints()
    assert raised.value.hint == "`thedata up`"
    assert {state.state for state in await target.status()} == {ServicePhase.STOPPED}
    await lab.up(target)
    await lab.down(target)
    endpoint = target.endpoints()["one"]
    assert (endpoint.host, endpoint.ports, endpoint.secrets) == ("127.0.0.1", one.ports, {"word": "hush"})
