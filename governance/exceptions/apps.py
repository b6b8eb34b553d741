"""What evidence has to be looked at today: exceptions of controls as rows that live, and the readings that saw them."""

from django.apps import AppConfig


class ExceptionsConfig(AppConfig):
    """Exceptions of controls."""

    name = "governance.exceptions"
    label = "exceptions"
