"""A batch as one POST, signed by the Standard Webhooks specification. Any answer of 2xx means that it arrived."""

from __future__ import annotations

import base64

import httpx

from governance.core.clock import now
from governance.notices.calling import signature
from governance.provisioning.connectors.addresses import AddressRefused, GuardedTransport
from governance.streams.ways.base import NotArrived, Place

TIMEOUT_SECONDS = 10.0
_PREFIX = "whsec_"


def post(place: Place, ref: str, body: bytes) -> None:
    """Post the body under the id `ref`, the same each time that the same is sent. Raises NotArrived."""
    seconds = int(now().timestamp())
    secret = base64.b64decode(place.secret.removeprefix(_PREFIX))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Gatehouse",
        "webhook-id": ref,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(secret, ref, seconds, body),
    }
    transport = GuardedTransport(allows_loopback=place.allows_loopback, max_connections=1)
    try:
        with (
            httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
            client.stream("POST", place.address, content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except AddressRefused as refused:
        raise NotArrived(str(refused)) from refused
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotArrived(f"It could not be reached: {str(error) or type(error).__name__}") from error
    if 300 <= status < 400:
        raise NotArrived(f"It answered {status}: redirects are not followed. Enter the address it leads to.")
    if status >= 400:
        raise NotArrived(f"It answered {status}.")
