"""Session variables: those that only Materialize has, and those that PostgreSQL has in another sense."""

from __future__ import annotations

from thedata_cli.components.materialize.emulator import EMULATED_VERSION
from thedata_cli.components.materialize.emulator.tokens import quote_name

_DEFAULTS = {
    "cluster": "quickstart",
    "cluster_replica": "",
    "database": "materialize",
    "search_path": "public",
    "schema": "public",
    "transaction_isolation": "strict serializable",
    "auto_route_catalog_queries": "on",
    "real_time_recency": "off",
    "real_time_recency_timeout": "10 s",
    "emit_timestamp_notice": "off",
    "emit_plan_insights_notice": "off",
    "emit_introspection_query_notice": "on",
    "enable_session_rbac_checks": "off",
    "enable_rbac_checks": "off",
    "welcome_message": "on",
    "statement_logging_sample_rate": "0",
    "current_object_missing_warnings": "on",
    "mz_version": f"{EMULATED_VERSION} (thedata emulator)",
    "max_clusters": "10",
    "max_sources": "25",
    "max_tables": "200",
    "max_secrets": "100",
    "max_identifier_length": "255",
    "max_objects_per_schema": "1000",
    "max_result_size": "1GB",
    "max_query_result_size": "1GB",
    "isolation_level": "strict serializable",
}
IMPLIED_SCHEMAS = ("mz_catalog", "pg_catalog")


def is_variable_of_materialize(name: str) -> bool:
    """Whether the emulator keeps this variable itself."""
    return name in _DEFAULTS


class Variables:
    """The variables of one session."""

    def __init__(self) -> None:
        self._values = dict(_DEFAULTS)

    def get(self, name: str) -> str:
        """Return the value as SHOW prints it."""
        return self._values[name]

    def set(self, name: str, values: tuple[str, ...]) -> None:
        """Set a variable; no value means its default."""
        value = ", ".join(values) if values else _DEFAULTS[name]
        self._values[name] = value
        if name in ("schema", "search_path"):
            self._values["schema"] = self._values["search_path"] = value

    def reset(self) -> None:
        """Give every variable its default."""
        self._values = dict(_DEFAULTS)

    @property
    def cluster(self) -> str:
        """The cluster of objects that name none."""
        return self._values["cluster"]

    @property
    def schemas(self) -> list[str]:
        """The schemas in which names without one are looked up, the user's first."""
        return [part.strip().strip('"') for part in self._values["search_path"].split(",") if part.strip()]

    @property
    def is_strict(self) -> bool:
        """Whether a read waits for all writes that were acknowledged before it."""
        return self._values["transaction_isolation"].startswith("strict")

    @property
    def backend_search_path(self) -> str:
        """The search path for the backend, where Materialize's own schemas must be named."""
        return ", ".join(quote_name(one) for one in (*self.schemas, *IMPLIED_SCHEMAS))
