"""The ledger as it happens, for systems that watch over security (SIEM): in order, without gaps, at least once.

Reads the rooms below; none of them knows it."""

from django.apps import AppConfig

from governance.ledger.sealing import wake_when_sealed


class StreamsConfig(AppConfig):
    """Destination."""

    name = "governance.streams"
    label = "streams"

    def ready(self) -> None:
        """Have what was sealed sent at once."""
        wake_when_sealed("streams.send_due")
