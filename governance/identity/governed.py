"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from allauth.account.models import EmailAddress, EmailConfirmation
from django.contrib.auth.models import Group as UnusedGroup
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session

from governance.identity.models import (
    AsideName,
    Connection,
    ConnectionClient,
    ConnectionConflict,
    ConnectionExchange,
    ConnectionHour,
    ConnectionToken,
    Group,
    Membership,
    MembershipRevision,
    Person,
    PersonRevision,
    RoleAssignment,
    ServiceToken,
)
from governance.ledger.governing import govern, leave_out

govern(
    Person,
    person="id",
    reference="ref",
    public=["status", "source"],
    personal=[
        "password",
        "user_name",
        "user_name_key",
        "external_id",
        "display_name",
        "given_name",
        "family_name",
        "email",
        "title",
        "department",
        "person_type",
        "employee_number",
        "time_zone",
        "manager_hint",
        "document",
        "document_key",
    ],
    volatile=["last_login"],
)
govern(
    PersonRevision,
    person="person_id",
    public=["status", "change", "actor_ref", "correlation_id"],
    personal=["user_name", "display_name", "email", "title", "department", "person_type"],
)
govern(
    AsideName,
    person="person_id",
    personal=["user_name", "display_name", "given_name", "family_name", "email"],
)
govern(
    Group, public=["source"], personal=["display_name", "display_name_key", "external_id", "document", "document_key"]
)
govern(Membership)
govern(MembershipRevision, public=["correlation_id"])
govern(RoleAssignment, public=["role", "assigned_by_ref"])
govern(
    ServiceToken,
    public=["audience", "name", "scopes", "created_by_ref"],
    personal=["digest", "hint"],
    volatile=["last_used_at"],
)
govern(Connection, public=["name", "dialect"], personal=["note"], volatile=["last_used_at"])
govern(ConnectionToken)
govern(
    ConnectionClient,
    public=["client_id", "created_by_ref"],
    personal=["secret_digest", "hint"],
    volatile=["last_used_at"],
)

leave_out(ConnectionExchange, ConnectionHour, because="traffic: what was asked, kept for some days for looking at")
leave_out(ConnectionConflict, because="derived from traffic; what is done about one is recorded and changes people")
leave_out(Session, because="sign-ins are recorded as events; a session's row is a cache of them")
leave_out(EmailAddress, EmailConfirmation, because="not used: people sign in by the address of their own row")
leave_out(
    Permission, UnusedGroup, UnusedGroup.permissions.through, because="not used: rights come from role assignments"
)
leave_out(ContentType, because="made by migrations from the models")
