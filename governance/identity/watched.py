"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.identity.models import Connection
from governance.ledger.configuration import register_configuration

# The note may name people.
register_configuration(Connection, hidden_fields=["note"], ignored_fields=["last_used_at"])
