"""The demo organisation: a deterministic company with a year of history, loaded set-based. Only for trying Gatehouse out."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The demo organisation."""

    name = "governance.demo"
    label = "demo"
