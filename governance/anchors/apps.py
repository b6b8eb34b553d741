"""Where signed heads of the ledger are kept out of our reach: whoever compares one later sees a rewritten past.

Reads the rooms below; none of them knows it."""

from django.apps import AppConfig


class AnchorsConfig(AppConfig):
    """Anchor, AnchorReceipt, witnesses."""

    name = "governance.anchors"
    label = "anchors"
