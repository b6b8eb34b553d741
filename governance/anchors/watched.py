"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.anchors.models import Anchor
from governance.ledger.configuration import register_configuration
from governance.provisioning.secrets import holds_secrets

register_configuration(
    Anchor,
    # The settings may hold addresses of people.
    hidden_fields=["secret_encrypted", "settings"],
    ignored_fields=[
        "next_at",
        "claimed_until",
        "failures_in_a_row",
        "trouble_since",
        "last_error",
        "last_size",
        "last_at",
    ],
)
holds_secrets(Anchor, "secret_encrypted")
