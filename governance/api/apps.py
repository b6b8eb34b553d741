"""The door for scripts: JSON under /api/v1/. It translates and decides nothing."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """REST."""

    name = "governance.api"
    label = "api"
