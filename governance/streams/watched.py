"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.ledger.configuration import register_configuration
from governance.provisioning.secrets import holds_secrets
from governance.streams.models import Destination

#: How far the sending came.
MOVING = (
    "next_index",
    "next_at",
    "failures_in_a_row",
    "trouble_since",
    "stopped_at",
    "last_error",
    "last_sent_at",
    "test_asked_at",
    "tested_at",
    "test_error",
)

register_configuration(
    Destination,
    # An address may hold a token.
    hidden_fields=["secret_encrypted", "address", "client_certificate"],
    ignored_fields=MOVING,
)
holds_secrets(Destination, "secret_encrypted")
