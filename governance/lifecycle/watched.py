"""Which tables of this room are configuration that people edit by hand: their field history is kept."""

from governance.ledger.configuration import register_configuration
from governance.lifecycle.models import SourceBrake

register_configuration(SourceBrake, ignored_fields=["people", "counted_at"])
