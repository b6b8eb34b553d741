"""Which identity providers a connection can speak with, as a list for people. What each means is the SCIM door's.

The door's own table is `scim_bridge.dialects.policies.DIALECTS`; a test holds that both name the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DialectLabel:
    """A dialect as the page offers it."""

    name: str
    label: str
    sentence: str


_ALL = (
    DialectLabel("default", "Any provider", "Accepts what every known provider sends. For one that is not listed."),
    DialectLabel("okta", "Okta", "Okta's SCIM 2.0 applications, with group push."),
    DialectLabel("entra", "Microsoft Entra ID", "Enterprise applications with automatic provisioning."),
    DialectLabel("onelogin", "OneLogin", "OneLogin's SCIM provisioner."),
    DialectLabel("jumpcloud", "JumpCloud", "JumpCloud's identity management connector."),
    DialectLabel("google", "Google Workspace", "Google's automatic user provisioning."),
    DialectLabel("ping", "PingOne", "PingOne provisioning and PingFederate."),
    DialectLabel("authentik", "authentik", "authentik's SCIM provider."),
    DialectLabel("keycloak", "Keycloak", "Keycloak's SCIM client extensions."),
    DialectLabel("strict", "Strict RFC", "The RFC to the letter: for conformance tests and clients of your own."),
)
DIALECTS: Mapping[str, DialectLabel] = {each.name: each for each in _ALL}


def label_of(name: str) -> str:
    """Return what people call a dialect."""
    known = DIALECTS.get(name)
    return known.label if known else name
