"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.ledger.configuration import register_configuration
from governance.provisioning.models import Connector, TicketSystem
from governance.provisioning.secrets import holds_secrets

register_configuration(
    Connector,
    hidden_fields=["secret_encrypted"],
    ignored_fields=[
        "circuit_opened_at",
        "circuit_retry_at",
        "failures_in_a_row",
        "last_error",
        "next_step",
        "read_requested_at",
        "reading_until",
    ],
)
holds_secrets(TicketSystem, "secret_encrypted")
register_configuration(TicketSystem, hidden_fields=["secret_encrypted"])
