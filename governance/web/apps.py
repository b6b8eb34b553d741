"""The door for people: pages rendered on the server, made quick by htmx.

It reads a form, calls one query or action, and renders.
"""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """Pages."""

    name = "governance.web"
    label = "web"
