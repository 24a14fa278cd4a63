"""Dead letters: messages that a route could not accept, as they are kept. Pure."""

from __future__ import annotations

from thedata_cli.component_api.live import OutgoingMessage, StreamMessage
from thedata_cli.component_api.routes import Route

_MAX_ERROR_LENGTH = 1000
_BROKER_HEADERS = "nats-"


def dead_letter(route: Route, message: StreamMessage, error: str) -> OutgoingMessage:
    """Return the message to keep: the payload as it came, and headers that say where from and why.

    Its id names the delivered message, not its content, so that a second delivery makes no second dead letter. The
    time is in it because a stream that was made anew counts from 1 again.

    The headers of the message are kept, but for those that tell the broker what to do with it.
    """
    kept = {name: text for name, text in message.headers.items() if not name.lower().startswith(_BROKER_HEADERS)}
    time = message.time.isoformat()
    return OutgoingMessage(
        subject=f"{route.dead_letter_stream}.{route.consumer}",
        payload=message.payload,
        id=f"{route.consumer}:{message.sequence}:{time}",
        headers={
            **kept,
            "Thedata-Error": _one_line(error),
            "Thedata-Pipeline": route.pipeline,
            "Thedata-Table": f"{route.target.component}/{route.target.name}",
            "Thedata-Stream": message.stream,
            "Thedata-Subject": message.subject,
            "Thedata-Sequence": str(message.sequence),
            "Thedata-Time": time,
        },
    )


def _one_line(text: str) -> str:
    """Return what fits in a header: a line break would end it."""
    return " ".join(text.split())[:_MAX_ERROR_LENGTH]
