"""Who has what, why and until when: requests, approvals, grants and their ends.

Grants say what should be; the room below makes it so."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """AccessRequest, Approval, Grant."""

    name = "governance.access"
    label = "access"
