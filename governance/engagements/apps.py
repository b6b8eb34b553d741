"""Auditor rooms: what an engagement asks for, what it was given, and what was said about it."""

from django.apps import AppConfig


class EngagementsConfig(AppConfig):
    """Engagements, guests, requests, samples."""

    name = "governance.engagements"
    label = "engagements"
