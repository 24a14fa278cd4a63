"""Contracts and routes that the pipeline tests share."""

from __future__ import annotations

from thedata_cli.component_api.contracts import Contract, ContractField, FieldType
from thedata_cli.component_api.routes import Route
from thedata_cli.plan.resources import ResourceId

READINGS = Contract(
    "readings",
    "readings.>",
    (
        ContractField("at", FieldType.TIMESTAMP),
        ContractField("sensor", FieldType.STRING, is_symbol=True),
        ContractField("number", FieldType.INT64, constraints={"ge": 0}),
        ContractField("note", FieldType.STRING, is_required=False, is_nullable=True),
    ),
    event_time="at",
)
"""Without a key on purpose: nothing but the sequence tells two rows apart, so that a second copy would be seen."""


def route_to(
    engine: str,
    table: str,
    *,
    stream: str = "readings",
    max_batch: int = 200,
    max_wait_s: float = 0.1,
    ack_wait_s: float = 30.0,
) -> Route:
    return Route(
        pipeline=stream,
        stream=ResourceId("nats", "stream", stream),
        subject="",
        contract=READINGS,
        target=ResourceId(engine, "table", table),
        dead_letter_stream="dead-letters",
        max_batch=max_batch,
        max_wait_s=max_wait_s,
        ack_wait_s=ack_wait_s,
    )
