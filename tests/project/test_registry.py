"""Which components there are; nothing is imported that the project does not name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.project.conftest import write
from thedata_cli.errors import InvalidProjectError, MissingDependencyError, UsageError
from thedata_cli.project.load import load_project
from thedata_cli.project.registry import component_class, component_keys

PLUGIN = """\
    from typing import ClassVar, Literal

    from thedata_cli.component_api.component import Component
    from thedata_cli.component_api.declarations import Declaration


    class Topic(Declaration):
        '''A topic.'''

        partitions: int = 1


    class KafkaComponent(Component):
        '''Kafka.'''

        key: ClassVar[str] = "kafka"
        summary: ClassVar[str] = "another broker"
        default_version: ClassVar[str] = "4.0"
        ports: ClassVar = {"client": 9092}
        declarations: ClassVar = {"topics": (Topic,)}

        heap: int = 1

        def install(self, placement, progress): ...

        def embedded_process(self, placement, installation): ...
    """


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package with one entry point, as pip would lay it down."""

    def install(module: str, source: str, entry_point: str) -> None:
        site = tmp_path / "site"
        write(
            site,
            {
                f"{module}.py": source,
                f"{module}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n",
                f"{module}-1.0.dist-info/entry_points.txt": f"[thedata.components]\n{entry_point}\n",
            },
        )
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(site)

    return install


def test_ours_come_first() -> None:
    assert component_keys()[:5] == ("nats", "questdb", "clickhouse", "materialize", "worker")
    for key in component_keys():
        assert component_class(key).key == key


def test_a_plugin_is_a_component_like_ours(tmp_path: Path, install_plugin: Callable[..., None]) -> None:
    install_plugin("plugin_good", PLUGIN, "kafka = plugin_good:KafkaComponent")
    project = load_project(
        write(
            tmp_path / "p",
            {
                "thedata.yaml": "name: p\ncomponents:\n  kafka: {heap: 2}\n",
                "topics/a.yaml": "name: a\npartitions: 3\n",
            },
        )
    )
    assert getattr(project.components["kafka"], "heap", None) == 2
    [declared] = project.declared["kafka"]
    assert (declared.model.name, declared.model.partitions) == ("a", 3)
    assert component_keys()[-1] == "kafka"


@pytest.mark.parametrize(
    ("module", "source", "entry_point", "complaint"),
    [
        (
            "plugin_raises",
            "import package_that_is_not_there",
            "kafka = plugin_raises:Kafka",
            "component 'kafka' (plugin_raises:Kafka of package plugin_raises) cannot be loaded: "
            "ModuleNotFoundError: No module named 'package_that_is_not_there'",
        ),
        (
            "plugin_other",
            "Kafka = 5",
            "kafka = plugin_other:Kafka",
            "component 'kafka' (plugin_other:Kafka of package plugin_other) is no class derived from Component",
        ),
        (
            "plugin_misnamed",
            PLUGIN.replace('"kafka"', '"redpanda"'),
            "kafka = plugin_misnamed:KafkaComponent",
            "component 'kafka' (plugin_misnamed:KafkaComponent of package plugin_misnamed) calls itself 'redpanda'",
        ),
    ],
)
def test_a_broken_plugin_is_named(
    tmp_path: Path, install_plugin: Callable[..., None], module: str, source: str, entry_point: str, complaint: str
) -> None:
    install_plugin(module, source, entry_point)
    with pytest.raises(MissingDependencyError) as caught:
        component_class("kafka")
    assert caught.value.message == complaint
    with pytest.raises(InvalidProjectError) as invalid:
        load_project(write(tmp_path / "p", {"thedata.yaml": "name: p\ncomponents:\n  nats: {}\n  kafka: {}\n"}))
    hint = f"upgrade or remove the package {module}"
    assert invalid.value.detail == f"thedata.yaml:4:3: components.kafka: {complaint}; {hint}"


def test_an_unknown_component() -> None:
    with pytest.raises(UsageError, match="unknown component 'natz'") as caught:
        component_class("natz")
    assert caught.value.hint == "did you mean 'nats'?"


def test_only_what_the_project_names_is_imported(tmp_path: Path) -> None:
    files = {
        "thedata.yaml": "name: p\ncomponents: {nats: {}}\n",
        "streams/a.yaml": "name: a\nsubjects: [a]\n",
        "contracts/a.yaml": "x-subject: a\ntype: object\nproperties: {a: {type: string}}\n",
    }
    write(tmp_path, files)
    program = dedent(
        """\
        import sys
        from pathlib import Path
        from thedata_cli.project.load import load_project
        load_project(Path(sys.argv[1]))
        slow = {"nats", "httpx", "psycopg", "clickhouse_connect", "questdb", "chdb", "msgspec", "jinja2", "rich"}
        parts = {name.split(".")[2] for name in sys.modules if name.startswith("thedata_cli.components.")}
        print(sorted(slow & sys.modules.keys()), sorted(parts))
        """
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['nats']"
