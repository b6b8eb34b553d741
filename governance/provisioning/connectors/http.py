"""One HTTP exchange with an application, with everything that can go wrong turned into Transient or Permanent."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from governance.provisioning.connectors.addresses import AddressRefused, GuardedTransport
from governance.provisioning.connectors.base import ORDER_BUDGET_FACTOR, CallFailed, Permanent, Target, Transient

#: No answer is read beyond this. A group of 50,000 members takes about five megabytes.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_CONNECTIONS = 8
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600
SCIM_JSON = "application/scim+json"
PLAIN_JSON = "application/json"

_deadline: ContextVar[float | None] = ContextVar("connector_deadline", default=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer the caller may decide about: success, or one of the statuses that mean something in SCIM."""

    status: int
    body: Mapping[str, Any]
    etag: str = ""

    @property
    def is_success(self) -> bool:
        """Tell whether the application did what it was asked."""
        return 200 <= self.status < 300

    @property
    def detail(self) -> str:
        """Return what the application said about an error, cleaned and short."""
        said = self.body.get("detail") or self.body.get("message") or ""
        return clean(str(said))


def clean(text: str, limit: int = 200) -> str:
    """Return `text` from outside in one short printable line."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@contextmanager
def time_budget(seconds: float) -> Iterator[None]:
    """Let all exchanges inside take `seconds` together. After that they fail as a time-out."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class Http:
    """Speaks JSON with one application. Safe for several threads; keeps its connections."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._base = target.base_url.rstrip("/")
        self._content_type = SCIM_JSON
        self._client = httpx.Client(
            transport=GuardedTransport(allows_loopback=target.allows_loopback, max_connections=MAX_CONNECTIONS),
            timeout=httpx.Timeout(target.timeout_seconds),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "Gatehouse", "Accept": f"{SCIM_JSON}, {PLAIN_JSON};q=0.9"},
        )

    @property
    def order_budget_seconds(self) -> float:
        """Return how long all requests of one order may take together."""
        return self._target.timeout_seconds * ORDER_BUDGET_FACTOR

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Return the answer to a GET of `path` below the base URL. Raises CallFailed."""
        return self.send("GET", path, params=params)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        if_match: str = "",
    ) -> Answer:
        """Return the answer to one request. Raises CallFailed for everything a caller cannot decide about.

        Returned are 2xx and the statuses 400, 404, 405, 409, 412, 422 and 501; a 404 only when it speaks SCIM, so that
        the page of a proxy is never taken for "there is no such account".
        """
        response, content = self._exchange(method, path, params, body, if_match)
        if response.status_code in (406, 415) and self._content_type == SCIM_JSON:
            self._content_type = PLAIN_JSON
            response, content = self._exchange(method, path, params, body, if_match)
        failure = _failure_of(response)
        if failure is not None:
            raise CallFailed(failure)
        return _answer(response, content, expects_body=method == "GET")

    def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        if_match: str,
    ) -> tuple[httpx.Response, bytes]:
        headers = {"Authorization": f"Bearer {self._target.secret}"} if self._target.secret else {}
        if if_match:
            headers["If-Match"] = if_match
        content = None
        if body is not None:
            headers["Content-Type"] = self._content_type
            content = json.dumps(body).encode()
        limit = self._seconds_left()
        try:
            with self._client.stream(
                method, self._base + path, params=params, content=content, headers=headers, timeout=limit
            ) as response:
                return response, _read(response, time.monotonic() + limit)
        except AddressRefused as error:
            raise CallFailed(Permanent(str(error), "Correct the address of the connector.", True)) from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise CallFailed(_failure_from(error, self._target.timeout_seconds)) from error

    def _seconds_left(self) -> float:
        deadline = _deadline.get()
        if deadline is None:
            return self._target.timeout_seconds
        left = deadline - time.monotonic()
        if left <= 0:
            raise CallFailed(Transient("The application took too long over one order."))
        return min(self._target.timeout_seconds, left)


def _read(response: httpx.Response, until: float) -> bytes:
    """Return the body. A server that sends a byte now and then does not hold the worker beyond `until`."""
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise CallFailed(
                Permanent("The answer is larger than 64 MB.", "Ask the vendor why the answer is so large.")
            )
        if time.monotonic() > until:
            raise CallFailed(Transient("The answer did not end in time."))
    return b"".join(chunks)


def _failure_from(error: Exception, timeout_seconds: float) -> Transient | Permanent:
    if isinstance(error, httpx.TimeoutException):
        return Transient(f"The application did not answer within {timeout_seconds:g} seconds.")
    if "CERTIFICATE" in str(error) or "SSL" in str(error):
        return Transient(
            f"The secure connection failed: {clean(str(error), 120)}",
            next_step="Check the certificate of the application and the address of the connector.",
        )
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return Permanent("The request could not be written.", "Check the address and the token of the connector.", True)
    if isinstance(error, httpx.ConnectError):
        return Transient(
            f"The application cannot be reached: {clean(str(error), 120)}",
            next_step="Check that the application is up and that the address of the connector is right.",
        )
    return Transient(f"The connection broke: {clean(str(error) or type(error).__name__, 120)}")


def _failure_of(response: httpx.Response) -> Transient | Permanent | None:
    """Return the failure that a status means for every caller alike, or None when the caller decides."""
    status = response.status_code
    wait = retry_after_seconds(response.headers.get("Retry-After", ""), datetime.now(UTC))
    if status == 429 or (status == 403 and wait is not None):
        return Transient("The application asks for fewer requests.", wait)
    if status in (401, 403):
        return Permanent(
            f"The application refused the token ({status}).",
            "Renew the token of the connector and try again.",
            concerns_everything=True,
        )
    if 300 <= status < 400:
        return Permanent(
            "The application answered with a redirect, which is not followed.",
            "Enter the final address of the application's SCIM service.",
            concerns_everything=True,
        )
    if status in (408, 425) or (status >= 500 and status != 501):
        return Transient(f"The application answered with an error of its own ({status}).", wait)
    return None


def retry_after_seconds(header: str, at: datetime) -> float | None:
    """Read a Retry-After header, seconds or date (RFC 9110 §10.2.3). None when it is missing or makes no sense."""
    if header.strip().isdecimal():
        return float(min(int(header.strip()[:9]), LONGEST_RETRY_AFTER_SECONDS))
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - at).total_seconds(), 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _answer(response: httpx.Response, content: bytes, *, expects_body: bool) -> Answer:
    status = response.status_code
    etag = response.headers.get("ETag", "")
    if not content.strip():
        if expects_body and 200 <= status < 300:
            raise CallFailed(Transient("The application answered without content."))
        return Answer(status, {}, etag)
    body = _json_object(content)
    if body is None and (expects_body or 200 <= status < 300 or status == 404):
        raise CallFailed(
            Transient(
                "The application answered with something that is not SCIM.",
                next_step="Check that the address of the connector is that of the SCIM service.",
            )
        )
    return Answer(status, body or {}, etag)


def _json_object(content: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
