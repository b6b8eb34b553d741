"""The door for identity providers: SCIM 2.0 in, lifecycle actions out. It translates and owns no domain rule."""

from django.apps import AppConfig


class ScimBridgeConfig(AppConfig):
    """SCIM 2.0."""

    name = "scim_bridge"
    label = "scim_bridge"
