"""What is recorded about people, groups, roles and tokens."""

PERSON_JOINED = "person.joined"
PERSON_UPDATED = "person.updated"
PERSON_LEFT = "person.left"
PERSON_REJOINED = "person.rejoined"
PERSON_UNLISTED = "person.unlisted"
GROUP_CREATED = "group.created"
GROUP_UPDATED = "group.updated"
GROUP_MEMBERS_CHANGED = "group.members_changed"
GROUP_REMOVED = "group.removed"
ROLE_ASSIGNED = "role.assigned"
ROLE_REMOVED = "role.removed"
TOKEN_ISSUED = "token.issued"  # noqa: S105 - the name of an event
TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event
