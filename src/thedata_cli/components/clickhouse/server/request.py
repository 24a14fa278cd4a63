"""One HTTP request as ClickHouse reads it: URL parameters, headers, login, and how the body is packed."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from thedata_cli.components.clickhouse.server.errors import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    INVALID_SESSION_TIMEOUT,
    UNKNOWN_FORMAT,
    UNKNOWN_ROLE,
    ClickHouseError,
)

_NOT_SETTINGS = {
    *("query", "database", "default_format", "user", "password", "quota_key", "role"),
    *("session_id", "session_timeout", "session_check", "close_session", "query_id", "stacktrace"),
    *("compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version"),
}
_TABLE_SUFFIXES = ("_structure", "_types", "_format")
DEFAULT_SESSION_TIMEOUT_S = 60
MAX_SESSION_TIMEOUT_S = 3600


@dataclass(frozen=True)
class Login:
    """The account of this server; there is exactly one."""

    user: str
    password: str = field(repr=False)

    def check(self, user: str, password: str) -> None:
        """Refuse anything but this account, without telling which half was wrong."""
        same_user = hmac.compare_digest(user.encode("utf-8", "replace"), self.user.encode())
        same_password = hmac.compare_digest(password.encode("utf-8", "replace"), self.password.encode())
        if not (same_user and same_password):
            raise ClickHouseError(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )


@dataclass(frozen=True)
class SessionRequest:
    """What a request says of the session it belongs to."""

    id: str
    timeout_s: float
    must_exist: bool
    close: bool


class Request:
    """The head of a request; reading it never touches the body."""

    def __init__(self, method: str, query_string: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Parse the URL's parameters and keep the headers by lower-case name."""
        self.method = method
        self._headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        self._parameters: dict[str, str] = {}
        self.add_parameters(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"))

    def add_parameters(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take further parameters, those of a form; the last of a name wins."""
        for name, value in pairs:
            self._parameters[name] = value

    def header(self, name: str) -> str:
        """The header's value, or an empty string."""
        return self._headers.get(name, "")

    def parameter(self, name: str, default: str = "") -> str:
        """The URL's or the form's value of `name`."""
        return self._parameters.get(name, default)

    def is_set(self, name: str) -> bool:
        """Whether a switch such as `wait_end_of_query` is on."""
        return self.parameter(name).lower() in ("1", "true")

    def authenticate(self, login: Login) -> None:
        """Check who asks: the X-ClickHouse headers, else Basic, else the URL, else the nameless `default`."""
        login.check(*self._credentials())
        if self.parameter("role"):
            raise ClickHouseError(UNKNOWN_ROLE, f"There is no role `{self.parameter('role')}` in the embedded engine.")

    def _credentials(self) -> tuple[str, str]:
        user, password = self.header("x-clickhouse-user"), self.header("x-clickhouse-key")
        scheme, _, encoded = self.header("authorization").partition(" ")
        if user or password:
            return user or "default", password
        if scheme:
            return _basic_credentials(scheme, encoded)
        return self.parameter("user", "default"), self.parameter("password")

    @property
    def query(self) -> bytes:
        """The SQL of the URL; not always UTF-8."""
        return self.parameter("query").encode("utf-8", "surrogateescape")

    @property
    def query_id(self) -> str:
        """The client's id for the query, or a new one."""
        if "query_id" not in self._parameters:
            self._parameters["query_id"] = self.header("x-clickhouse-query-id") or str(uuid.uuid4())
        # It goes into a header and into the log, where a line break would begin something new.
        return "".join(filter(str.isprintable, self._parameters["query_id"]))

    @property
    def database(self) -> str:
        """The database this request asks for, or an empty string."""
        return self.parameter("database") or self.header("x-clickhouse-database")

    @property
    def default_format(self) -> str:
        """The format of a result whose statement names none."""
        name = self.parameter("default_format") or self.header("x-clickhouse-format") or "TabSeparated"
        if not (name.isascii() and name.isalnum()):
            raise ClickHouseError(UNKNOWN_FORMAT, f"Unknown format {name!a}.")
        return name

    @property
    def is_read_only(self) -> bool:
        """GET and HEAD may not write."""
        return self.method in ("GET", "HEAD")

    @property
    def client_revision(self) -> int:
        """The protocol revision that Native blocks have to be written in; 0 for the plain one."""
        return self.integer("client_protocol_version")

    def integer(self, name: str, default: int = 0) -> int:
        """A number in the URL."""
        value = self.parameter(name)
        if value and not (value.isascii() and value.isdigit()):
            raise ClickHouseError(BAD_ARGUMENTS, f"Parameter {name} must be a whole number, not '{value}'.")
        return int(value) if value else default

    @property
    def query_parameters(self) -> Mapping[str, str]:
        """The values for `{name:Type}` in the SQL, still escaped as clients send them."""
        return {name[len("param_") :]: value for name, value in self._parameters.items() if name.startswith("param_")}

    def settings(self, external_tables: Iterable[str] = ()) -> dict[str, str]:
        """Every parameter that is nothing else is a setting of the engine."""
        reserved = {table + suffix for table in external_tables for suffix in _TABLE_SUFFIXES}
        return {
            name: value
            for name, value in self._parameters.items()
            if name not in _NOT_SETTINGS and name not in reserved and not name.startswith("param_")
        }

    def session(self) -> SessionRequest | None:
        """The session this request belongs to, if any."""
        identifier = self.parameter("session_id")
        if not identifier:
            return None
        timeout_s = self.integer("session_timeout", DEFAULT_SESSION_TIMEOUT_S)
        if timeout_s > MAX_SESSION_TIMEOUT_S:
            raise ClickHouseError(
                INVALID_SESSION_TIMEOUT,
                f"Session timeout '{timeout_s}' is larger than max_session_timeout: {MAX_SESSION_TIMEOUT_S}.",
            )
        return SessionRequest(identifier, timeout_s, self.is_set("session_check"), self.is_set("close_session"))


def _basic_credentials(scheme: str, encoded: str) -> tuple[str, str]:
    if scheme.lower() != "basic":
        raise ClickHouseError(AUTHENTICATION_FAILED, f"Authentication scheme '{scheme}' is not supported: use Basic.")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ClickHouseError(AUTHENTICATION_FAILED, "Invalid HTTP Basic authentication.") from error
    return user or "default", password
