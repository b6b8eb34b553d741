"""What a way is told, and how it says that something did not arrive."""

from __future__ import annotations

from dataclasses import dataclass, field


class NotArrived(Exception):
    """The other side did not take it, or may not have. The sentence says why; everything is sent again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to bring it, with the secret in clear, for as long as it takes to send."""

    address: str
    secret: str = field(repr=False)
    authorities: str = ""
    client_certificate: str = ""
    allows_loopback: bool = False
