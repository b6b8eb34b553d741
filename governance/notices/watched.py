"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.ledger.configuration import register_configuration
from governance.notices.models import Webhook

register_configuration(Webhook, hidden_fields=["secret_encrypted", "url"])
