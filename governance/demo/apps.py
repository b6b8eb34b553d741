"""The demo organisation: a company with a year of history, always the same. Only for trying Gatehouse out."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """The demo organisation."""

    name = "governance.demo"
    label = "demo"
