"""A third party's time on the head: a timestamp token of RFC 3161."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import httpx
from cryptography import x509
from rfc3161_client import TimeStampRequest, TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.errors import VerificationError

from governance.anchors.kinds.base import Field, Kept, NotKept, Place, client
from governance.provisioning.connectors.addresses import AddressRefused, base_url_problem

FIELDS = (
    Field("url", "Address of the authority", "Where requests of RFC 3161 are posted."),
    Field("roots", "Root certificates", "PEM, of the authority; without them no token is believed.", is_long=True),
)
EVERY_SECONDS = 86_400


def problems(said: Mapping[str, str], secret: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings: the field and the reason."""
    # The token is signed and its request holds a hash only, so that plain http, which many authorities use, is fine.
    problem = base_url_problem(said.get("url", "").partition("?")[0], requires_tls=False)
    if problem:
        yield "url", problem
    try:
        _roots(said)
    except ValueError:
        yield "roots", "Give certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE."


def keep(place: Place) -> Kept:
    """Have the head stamped and check the token against the roots. Raises NotKept."""
    note = place.head.note.encode()
    wanted = TimestampRequestBuilder().data(note).nonce(nonce=True).cert_request(cert_request=True).build()
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    try:
        with client() as http:
            answer = http.post(place.settings["url"], content=wanted.as_bytes(), headers=headers)
    except AddressRefused as error:
        raise NotKept(str(error)) from error
    except httpx.HTTPError as error:
        raise NotKept(f"The authority could not be reached: {str(error) or type(error).__name__}") from error
    if answer.status_code != 200:
        raise NotKept(f"The authority answered {answer.status_code}.")
    return _checked(place, note, wanted, answer.content)


def _checked(place: Place, note: bytes, wanted: TimeStampRequest, content: bytes) -> Kept:
    try:
        token = decode_timestamp_response(content)
        verifier = VerifierBuilder.from_request(wanted)
        for root in _roots(place.settings):
            verifier = verifier.add_root_certificate(root)
        verifier.build().verify_message(token, note)
    except (VerificationError, ValueError, TypeError) as error:
        raise NotKept(f"The authority's token does not hold: {error}") from error
    stated = token.tst_info.gen_time.isoformat()
    serial = format(token.tst_info.serial_number, "x")
    return Kept({"stated_time": stated, "serial": serial}, base64.b64encode(content).decode())


def _roots(said: Mapping[str, str]) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(said.get("roots", "").encode())
