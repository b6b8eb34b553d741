"""What we publish about ourselves on `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`, per dialect.

Nothing is advertised that does not work, and nothing works that is not advertised.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from scim2_models import ResourceType, ScimProvider, ServiceProviderConfig

from governance.identity.conditions.schemas import (
    ENTERPRISE_USER,
    GROUP,
    USER,
    BareUserModel,
    EnterpriseUserModel,
    GroupModel,
)
from scim_bridge.catalogue import ENTITLEMENT, ROLE, EntitlementModel, RoleModel
from scim_bridge.dialects.policies import DIALECTS

#: The most resources of one answer, and how many there are when the client does not say.
MAX_RESULTS = 1000
#: The most operations of one Bulk request. authentik reads it as the limit of one PATCH, so it is not small.
MAX_OPERATIONS = 1000
#: A cursor is good for at least so many seconds.
CURSOR_TIMEOUT = 3600

_DIRECTORY: tuple[Mapping[str, Any], ...] = (
    {
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "A person",
        "schema": USER,
        "schemaExtensions": [{"schema": ENTERPRISE_USER, "required": False}],
    },
    {"id": "Group", "name": "Group", "endpoint": "/Groups", "description": "A group of people", "schema": GROUP},
)
_CATALOGUE: tuple[Mapping[str, Any], ...] = (
    {
        "id": "Role",
        "name": "Role",
        "endpoint": "/Roles",
        "description": "A role of an application that can be requested; read-only",
        "schema": ROLE,
    },
    {
        "id": "Entitlement",
        "name": "Entitlement",
        "endpoint": "/Entitlements",
        "description": "Something else in an application that can be requested; read-only",
        "schema": ENTITLEMENT,
    },
)
#: The names of the types that are only read.
READ_ONLY = frozenset(each["name"] for each in _CATALOGUE)
_SCHEMES: tuple[Mapping[str, Any], ...] = (
    {
        "type": "oauthbearertoken",
        "name": "Bearer token",
        "description": "A long-lived token of this connection, sent in the Authorization header.",
        "specUri": "https://www.rfc-editor.org/info/rfc6750",
        "primary": True,
    },
    {
        "type": "oauth2",
        "name": "OAuth 2.0 client credentials",
        "description": "An access token of an hour, for the client ID and secret of this connection, from "
        "/scim/oauth/token (RFC 6749 §4.4); sent in the Authorization header.",
        "specUri": "https://www.rfc-editor.org/info/rfc6749",
        "primary": False,
    },
)


def _config() -> Mapping[str, Any]:
    return {
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": MAX_OPERATIONS,
            "maxPayloadSize": settings.SCIM_MAX_BULK_BYTES,
        },
        "filter": {"supported": True, "maxResults": MAX_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        # RFC 9865 §4. By index unless a cursor is asked for: Okta and Entra page by index.
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": MAX_RESULTS,
            "maxPageSize": MAX_RESULTS,
            "cursorTimeout": CURSOR_TIMEOUT,
        },
        "authenticationSchemes": _SCHEMES,
    }


@cache
def provider_for(dialect: str) -> ScimProvider:
    """Return what we publish, read under the policy of this dialect.

    `strict` is without the catalogue: a conformance suite creates a resource of every type that is published, and
    RFC 7643 §6 has no way to say of a type that it is read-only.
    """
    has_catalogue = dialect != "strict"
    models = (BareUserModel, GroupModel, EnterpriseUserModel)
    types = [ResourceType.model_validate(each) for each in (*_DIRECTORY, *(_CATALOGUE if has_catalogue else ()))]
    return ScimProvider(
        (*models, RoleModel, EntitlementModel) if has_catalogue else models,
        types,
        ServiceProviderConfig.model_validate(_config()),
        DIALECTS[dialect].policy,
    )
