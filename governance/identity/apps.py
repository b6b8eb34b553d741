"""Who exists: people, groups and memberships as directories tell them, with every earlier state.

People are selected here by SCIM filter expressions."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Person, Group, Membership, ServiceToken."""

    name = "governance.identity"
    label = "identity"
