"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.ledger.configuration import register_configuration
from governance.notices.models import Webhook
from governance.provisioning.secrets import holds_secrets

register_configuration(Webhook, hidden_fields=["secret_encrypted", "former_secret_encrypted", "url"])
holds_secrets(Webhook, "secret_encrypted", "former_secret_encrypted")
