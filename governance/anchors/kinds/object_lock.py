"""The head as an object that nobody can delete before a date: S3 Object Lock in compliance mode, and what speaks it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from urllib.parse import quote

import httpx
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.conf import settings

from governance.anchors.kinds.base import Field, Kept, NotKept, Place, client
from governance.core.clock import now
from governance.provisioning.connectors.addresses import AddressRefused, base_url_problem

FIELDS = (
    Field("endpoint", "Address", "https://s3.eu-central-1.amazonaws.com, or that of another S3 store."),
    Field("region", "Region", "us-east-1 when empty.", is_needed=False),
    Field("bucket", "Bucket", "Made with Object Lock switched on."),
    Field("prefix", "Folder", "Where in the bucket; nothing for its root.", is_needed=False),
    Field("days", "Days to keep", "2557 (seven years) when empty. Nobody can delete it before.", is_needed=False),
    Field("key_id", "Access key id"),
    Field("key", "Secret access key", is_secret=True),
)
EVERY_SECONDS = 3_600
DAYS = 2_557
_MOST_DAYS = 36_500


def problems(said: Mapping[str, str], secret: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings: the field and the reason."""
    problem = base_url_problem(said.get("endpoint", ""), requires_tls=settings.ENVIRONMENT.is_production)
    if problem:
        yield "endpoint", problem
    bucket = said.get("bucket", "")
    if not 3 <= len(bucket) <= 63 or not all(sign.isalnum() or sign in "-." for sign in bucket):
        yield "bucket", "A bucket has 3 to 63 letters, digits, dots and dashes."
    if not (said.get("days") or "1").isdigit() or not 1 <= int(said.get("days") or DAYS) <= _MOST_DAYS:
        yield "days", f"Give whole days from 1 to {_MOST_DAYS}."


def keep(place: Place) -> Kept:
    """Store the head under a lock, and read the lock back. Raises NotKept."""
    said, note = place.settings, place.head.note.encode()
    until = (now() + timedelta(days=int(said.get("days") or DAYS))).replace(microsecond=0)
    folder = f"{said['prefix'].strip('/')}/" if said.get("prefix") else ""
    path = f"/{said['bucket']}/{folder}{place.origin}/{place.head.size:012d}.checkpoint"
    url = said["endpoint"].rstrip("/") + quote(path)
    lock = {
        "x-amz-object-lock-mode": "COMPLIANCE",
        "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    digest = {"Content-MD5": base64.b64encode(hashlib.md5(note, usedforsecurity=False).digest()).decode()}
    with client() as http:
        put = _send(http, place, "PUT", url, note, {**lock, **digest, "Content-Type": "text/plain"})
        seen = _send(http, place, "HEAD", url, b"", {})
    locked = seen.headers.get("x-amz-object-lock-mode", "")
    kept_until = seen.headers.get("x-amz-object-lock-retain-until-date", "")
    if locked != "COMPLIANCE" or kept_until[:19] < f"{until:%Y-%m-%dT%H:%M:%S}":
        raise NotKept("The object is stored, but not locked: is Object Lock switched on for the bucket?")
    version = put.headers.get("x-amz-version-id", "")
    return Kept({"object": path, "version": version, "locked_until": kept_until})


def _send(
    http: httpx.Client, place: Place, method: str, url: str, body: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    wanted = AWSRequest(method=method, url=url, data=body, headers=dict(headers))
    region = place.settings.get("region") or "us-east-1"
    S3SigV4Auth(Credentials(place.settings["key_id"], place.secret), "s3", region).add_auth(wanted)
    try:
        answer = http.request(method, url, content=body, headers=dict(wanted.headers.items()))
    except AddressRefused as error:
        raise NotKept(str(error)) from error
    except httpx.HTTPError as error:
        raise NotKept(f"The store could not be reached: {str(error) or type(error).__name__}") from error
    if answer.status_code >= 300:
        raise NotKept(f"The store answered {answer.status_code} to {method}: {' '.join(answer.text.split())[:300]}")
    return answer
