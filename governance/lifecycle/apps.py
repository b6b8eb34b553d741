"""Joiners, movers and leavers: identity and access changed in one transaction. Every door calls these actions."""

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    """join, update, leave."""

    name = "governance.lifecycle"
    label = "lifecycle"
