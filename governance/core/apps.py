"""The ground floor: what every room needs and nothing that knows a room."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Actor, clock, errors."""

    name = "governance.core"
    label = "core"
