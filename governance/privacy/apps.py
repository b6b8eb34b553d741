"""What is kept of people, for how long, and how it goes: erasure, legal holds, retention."""

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    """Erasure and holds."""

    name = "governance.privacy"
    label = "privacy"

    def ready(self) -> None:
        """Have a recovery of the ledger take away again what this room once did."""
        from governance.ledger import going_again  # noqa: PLC0415
        from governance.privacy import taking_away_again  # noqa: PLC0415

        going_again.register(going_again.Remover(taking_away_again.what_came_back, taking_away_again.take_away_again))
