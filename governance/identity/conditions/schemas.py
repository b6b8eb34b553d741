"""The attributes people and groups have, from the published SCIM schemas, as models that resolve attribute names.

`schemas.json` holds RFC 7643 §8.7.1 with three changes: only users are members, `members.display` is read-only and
returned on request, a group must have a `displayName`. The SCIM door publishes the same file on `/Schemas`.
The models are built from it because the ready-made `EnterpriseUser` demands `manager.$ref`, which no client sends.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scim2_models import Extension, Resource, Schema

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

_FILE = Path(__file__).with_name("schemas.json")


def published_schemas() -> tuple[Schema, ...]:
    """Return the schemas of users, groups and the enterprise extension, as `/Schemas` publishes them."""
    return tuple(Schema.model_validate(schema) for schema in json.loads(_FILE.read_text(encoding="utf-8")))


_BY_URN = {str(schema.id): schema for schema in published_schemas()}

EnterpriseUserModel: type[Extension] = Extension.from_schema(_BY_URN[ENTERPRISE_USER])
BareUserModel: type[Resource[Any]] = Resource.from_schema(_BY_URN[USER])
GroupModel: type[Resource[Any]] = Resource.from_schema(_BY_URN[GROUP])
#: A user with the enterprise extension.
UserModel: type[Resource[Any]] = BareUserModel.__class_getitem__(EnterpriseUserModel)
