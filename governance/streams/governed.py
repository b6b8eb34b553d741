"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern
from governance.streams.models import Destination
from governance.streams.watched import MOVING

govern(
    Destination,
    public=["kind", "name", "shape"],
    # An address may hold a token.
    personal=["address", "secret_encrypted", "authorities", "client_certificate"],
    # How far the sending came: an entry for each batch would itself be sent, for ever.
    volatile=list(MOVING),
)
