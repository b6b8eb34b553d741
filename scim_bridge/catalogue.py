"""Entitlements and roles as resource types of their own, as Okta's "SCIM with entitlements" reads them.

The URNs and the attributes `displayName`, `type` and `description` are Okta's; nothing else about them is fixed there.
Everything is read-only: what can be had is decided in the catalogue, not by an identity provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import Resource, Schema

ENTITLEMENT = "urn:okta:scim:schemas:core:1.0:Entitlement"
ROLE = "urn:okta:scim:schemas:core:1.0:Role"


def _attribute(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readOnly",
        "returned": "default",
        "uniqueness": "none",
    }


def _schema(urn: str, name: str, description: str) -> Mapping[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": urn,
        "name": name,
        "description": description,
        "attributes": [
            _attribute("displayName", "The application and the name in it, for people to read."),
            _attribute("type", "What it is inside the application: Role, Group, Licence or Permission."),
            _attribute("description", "One sentence: what it lets somebody do."),
        ],
    }


CATALOGUE_SCHEMAS = tuple(
    Schema.model_validate(each)
    for each in (
        _schema(ENTITLEMENT, "Entitlement", "A group, licence or permission of an application that can be requested"),
        _schema(ROLE, "Role", "A role of an application that can be requested"),
    )
)
EntitlementModel: type[Resource[Any]] = Resource.from_schema(CATALOGUE_SCHEMAS[0])
RoleModel: type[Resource[Any]] = Resource.from_schema(CATALOGUE_SCHEMAS[1])
