"""Tables of who exists. Only `identity.actions` writes them; the rooms above call it through lifecycle."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import ExpressionWrapper, F, Q
from django.utils.crypto import salted_hmac

from governance.identity.profiles import key


class Status(models.TextChoices):
    """Where a person stands with the company. A guest, an auditor from outside, signs in and is nobody's employee."""

    ACTIVE = "active", "Active"
    GUEST = "guest", "Guest"
    LEFT = "left", "Left"


class RoleName(models.TextChoices):
    """What a person may do in Gatehouse beyond asking for access. Everybody active is an employee."""

    EMPLOYEE = "employee", "Employee"
    OWNER = "owner", "Owner"
    SECURITY_ADMIN = "security_admin", "Security administrator"
    AUDITOR = "auditor", "Auditor"


class PersonManager(BaseUserManager["Person"]):
    """Finds people by the name they sign in with."""

    def get_by_natural_key(self, username: str | None) -> Person:
        """Return the listed person with this user name, in any letter case."""
        return self.get(user_name_key=key(username or ""), is_listed=True)


class Person(AbstractBaseUser):
    """Somebody a directory, a person or a file told us about. Never deleted: history refers to them.

    `ref` is the permanent random reference (ledger, addresses, API). `scim_id` is what the identity provider
    knows; it changes when somebody who was deleted there comes back. `document` is the canonical SCIM document
    as the client sent it; `document_key` is its normalised copy (lower case unless caseExact) that filters read.
    """

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scim_id = models.UUIDField(default=uuid.uuid4, unique=True)
    user_name = models.CharField(max_length=320)
    user_name_key = models.CharField(max_length=320)
    external_id = models.CharField(max_length=320, blank=True)
    display_name = models.CharField(max_length=320)
    given_name = models.CharField(max_length=160, blank=True)
    family_name = models.CharField(max_length=160, blank=True)
    email = models.CharField(max_length=320, blank=True)
    title = models.CharField(max_length=200, blank=True)
    department = models.CharField(max_length=200, blank=True)
    person_type = models.CharField(max_length=80, blank=True, help_text="SCIM userType: Employee, Contractor …")
    employee_number = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    manager = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="reports")
    #: What the directory sent as manager when nobody by that id is known yet; resolved when they arrive.
    manager_hint = models.CharField(max_length=320, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    #: False once the directory deleted the resource; the person and their history stay. Somebody who is active and not
    #: listed was deleted there, and the brake holds their leaving or an administrator refused it.
    is_listed = models.BooleanField(default=True)
    source = models.CharField(max_length=120, help_text="Who told us: scim:<connection>, page, api, file, demo")
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    #: When they will leave, as planned; nothing once they have left.
    leaves_at = models.DateTimeField(null=True, blank=True)
    #: Sessions that began before this instant have ended.
    sessions_end_at = models.DateTimeField(null=True, blank=True)
    document = models.JSONField(default=dict)
    document_key = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "user_name"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_name_key"], condition=Q(is_listed=True), name="person_user_name_is_taken_once"
            ),
            models.CheckConstraint(
                condition=Q(status="left", left_at__isnull=False) | (~Q(status="left") & Q(left_at__isnull=True)),
                name="person_left_exactly_when_there_is_a_leaving_time",
            ),
            models.CheckConstraint(
                condition=Q(manager__isnull=True) | ~Q(manager=F("id")), name="person_is_not_their_own_manager"
            ),
        ]
        indexes = [
            models.Index(fields=["user_name_key"], name="person_former", condition=Q(is_listed=False)),
            models.Index(fields=["external_id"], name="person_external_id", condition=~Q(external_id="")),
            models.Index(fields=["manager_hint"], name="person_manager_hint", condition=~Q(manager_hint="")),
            models.Index(fields=["employee_number"], name="person_employee_number", condition=~Q(employee_number="")),
            models.Index(fields=["department", "display_name", "id"], name="person_department_name"),
            # The order of the matrix: who has no department comes last.
            models.Index(
                ExpressionWrapper(Q(department=""), output_field=models.BooleanField()),
                "department",
                "display_name",
                "id",
                condition=Q(status="active"),
                name="person_place_in_matrix",
            ),
            models.Index(fields=["display_name", "id"], name="person_display_name"),
            models.Index(fields=["created_at", "id"], name="person_created"),
            models.Index(fields=["modified_at", "id"], name="person_modified"),
            models.Index(fields=["email"], name="person_email"),
            models.Index(fields=["left_at"], name="person_left", condition=Q(left_at__isnull=False)),
            models.Index(fields=["leaves_at"], name="person_leaves", condition=Q(leaves_at__isnull=False)),
            # How many people each connection brought.
            models.Index(fields=["source"], name="person_source", condition=Q(is_listed=True)),
            # Counts and finds a page far back without reading rows.
            models.Index(
                fields=["id"], include=["created_at", "source"], condition=Q(is_listed=True), name="person_listed"
            ),
            GinIndex(fields=["document_key"], name="person_document", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # Django declares an attribute; here it follows from status
        """Tell whether the person works here: may sign in and hold access."""
        return self.status == Status.ACTIVE

    @property
    def may_sign_in(self) -> bool:
        """Tell whether the person may sign in: who works here, and guests."""
        return self.status in (Status.ACTIVE, Status.GUEST)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Tie sessions to `sessions_end_at` as Django ties them to the password: when it moves, they have ended."""
        ties = f"{self.password} {self.sessions_end_at.isoformat() if self.sessions_end_at else ''}"
        return salted_hmac("gatehouse.session", ties, secret=secret, algorithm="sha256").hexdigest()

    def get_full_name(self) -> str:
        """Return the name to show."""
        return self.display_name


class PersonRevision(models.Model):
    """What a person's profile was from `effective_at`, as we knew it from `recorded_at`. Insert-only."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=Status.choices)
    user_name = models.CharField(max_length=320)
    display_name = models.CharField(max_length=320)
    email = models.CharField(max_length=320, blank=True)
    title = models.CharField(max_length=200, blank=True)
    department = models.CharField(max_length=200, blank=True)
    person_type = models.CharField(max_length=80, blank=True)
    manager = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    change = models.CharField(max_length=40, help_text="joined, updated, left, rejoined, unlisted")
    actor_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "number"], name="person_revision_number_once")]
        indexes = [models.Index(fields=["person", "effective_at"], name="person_revision_effective")]

    def __str__(self) -> str:
        return f"{self.person_id} r{self.number}"


class AsideName(models.Model):
    """A name that was put aside: kept for a duty, shown on no ordinary page. `number` is the revision's; 0: the person.

    What stands in its place names nobody. Erasure deletes it; where the duty ends otherwise, it goes back.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    user_name = models.CharField(max_length=320)
    display_name = models.CharField(max_length=320)
    given_name = models.CharField(max_length=160, blank=True)
    family_name = models.CharField(max_length=160, blank=True)
    email = models.CharField(max_length=320, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "number"], name="name_is_aside_once")]

    def __str__(self) -> str:
        return f"{self.person_id} r{self.number}"


class Group(models.Model):
    """A group as the directory has it."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scim_id = models.UUIDField(default=uuid.uuid4, unique=True)
    display_name = models.CharField(max_length=320)
    display_name_key = models.CharField(max_length=320)
    external_id = models.CharField(max_length=320, blank=True)
    source = models.CharField(max_length=120)
    is_listed = models.BooleanField(default=True)
    document = models.JSONField(default=dict, help_text="The canonical SCIM document without members")
    document_key = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["display_name_key"], condition=Q(is_listed=True), name="group_display_name_is_taken_once"
            ),
        ]
        indexes = [
            models.Index(fields=["external_id"], name="group_external_id", condition=~Q(external_id="")),
            models.Index(fields=["created_at", "id"], name="group_created"),
            models.Index(
                fields=["id"], include=["created_at", "source"], condition=Q(is_listed=True), name="group_listed"
            ),
            GinIndex(fields=["document_key"], name="group_document", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return self.display_name


class Membership(models.Model):
    """A person is in a group now. Earlier ones are in MembershipRevision."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="memberships")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="memberships")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "person"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.group_id}: {self.person_id}"


class MembershipRevision(models.Model):
    """Somebody entered or left a group. Insert-only."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    entered = models.BooleanField(help_text="True: entered; false: left")
    recorded_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    class Meta:
        indexes = [
            models.Index(fields=["person", "recorded_at"], name="membership_revision_person"),
            models.Index(fields=["group", "recorded_at"], name="membership_revision_group"),
        ]

    def __str__(self) -> str:
        return f"{self.group_id}: {self.person_id} {'in' if self.entered else 'out'}"


class RoleAssignment(models.Model):
    """A person holds a role in Gatehouse itself."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="role_assignments")
    role = models.CharField(max_length=20, choices=RoleName.choices)
    assigned_at = models.DateTimeField()
    assigned_by_ref = models.CharField(max_length=120)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "role"], name="role_assigned_once")]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.role}"


class ServiceToken(models.Model):
    """A bearer token for a machine. Only its SHA-256 is kept; the token is shown once."""

    class Audience(models.TextChoices):
        """Which door it opens."""

        SCIM = "scim", "SCIM"
        API = "api", "REST"

    audience = models.CharField(max_length=8, choices=Audience.choices)
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, unique=True)
    hint = models.CharField(max_length=12, help_text="The first characters, to recognise it by")
    #: A REST token acts for this person and can do what they can.
    acts_for = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")
    scopes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["audience", "name"], name="service_token_name")]

    def __str__(self) -> str:
        return f"{self.audience} {self.name}"


class Connection(models.Model):
    """One identity provider that pushes people and groups.

    The name never changes: it is in `source` of all that the connection brought, and in the ledger as who acted.
    """

    #: The permanent reference for the ledger and for addresses.
    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80, unique=True)
    #: A name of `identity.connections.dialects.DIALECTS`.
    dialect = models.CharField(max_length=20, default="strict")
    note = models.CharField(max_length=500, blank=True, help_text="What administrators want each other to know")
    requests_per_minute = models.PositiveIntegerField(default=6000)
    keep_exchanges_days = models.PositiveSmallIntegerField(default=7)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(requests_per_minute__range=(60, 600_000)), name="connection_limit_is_sensible"
            ),
            models.CheckConstraint(
                condition=Q(keep_exchanges_days__range=(1, 90)), name="connection_keeps_exchanges_1_to_90_days"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """Return what people and groups of this connection carry as their source."""
        return f"scim:{self.name}"


class ConnectionToken(models.Model):
    """A token opens one connection; a connection may have several, so that they can be rotated with an overlap."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="links")
    token = models.OneToOneField(ServiceToken, on_delete=models.PROTECT, related_name="connection_link")

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.token_id}"


class ConnectionClient(models.Model):
    """OAuth 2.0 client credentials of a connection (RFC 6749 §4.4). Only the SHA-256 of the secret is kept.

    Access tokens are signed and live an hour; they have no rows, and end at once with their client or connection.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="clients")
    client_id = models.CharField(max_length=40, unique=True)
    secret_digest = models.CharField(max_length=64)
    hint = models.CharField(max_length=12, help_text="The first characters of the secret, to recognise it by")
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.client_id


class ConnectionHour(models.Model):
    """How much a connection asked in one hour. Counted about once a second, never inside a request."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="hours")
    hour = models.DateTimeField(help_text="When the hour began, UTC")
    requests = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0, help_text="Those answered with 400 and above")
    #: They are no use of the allowance: whoever is refused is not kept out for longer by asking.
    limited = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Refused for asking too often (429)")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "hour"], name="connection_hour_once")]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.hour:%Y-%m-%d %H}h"


class ConnectionExchange(models.Model):
    """One request and its answer, masked: keys and structure, no personal data, no secrets.

    The last 200 of a connection are kept, and none for longer than the connection says.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="exchanges")
    at = models.DateTimeField()
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=300, help_text="Below the base, masked")
    query = models.CharField(max_length=1000, blank=True, help_text="Masked")
    status = models.PositiveSmallIntegerField()
    milliseconds = models.FloatField()
    user_agent = models.CharField(max_length=200, blank=True)
    correlation_id = models.CharField(max_length=32, help_text="Finds what it caused in the ledger")
    request_body = models.JSONField(null=True, help_text="Masked; null when there was none or it cannot be read")
    response_body = models.JSONField(null=True, help_text="Masked")
    #: What the door understood: sentences in plain words.
    understood = models.JSONField(default=list)
    #: Why it was refused, in plain words, and where that is written; empty when it was not.
    problem = models.CharField(max_length=1000, blank=True)
    section = models.CharField(max_length=80, blank=True, help_text="For instance: RFC 7644 §3.5.2.3")

    class Meta:
        indexes = [models.Index(fields=["connection", "-at", "-id"], name="connection_exchange_latest")]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


class ConnectionConflict(models.Model):
    """A connection wants somebody, or a group, that another connection brought. An administrator decides."""

    class Resolution(models.TextChoices):
        """What was decided."""

        OPEN = "", "Open"
        HANDED_OVER = "handed_over", "Handed over"
        DISMISSED = "dismissed", "Dismissed"
        SETTLED = "settled", "Settled by itself"

    #: The one that wants.
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="conflicts")
    #: The one that has.
    holder = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(Group, null=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=320, help_text="The user name or display name that was asked for")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    resolution = models.CharField(max_length=12, choices=Resolution.choices, default=Resolution.OPEN, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "person"], name="connection_conflict_about_a_person_once"),
            models.UniqueConstraint(fields=["connection", "group"], name="connection_conflict_about_a_group_once"),
            models.CheckConstraint(
                condition=Q(person__isnull=False, group__isnull=True) | Q(person__isnull=True, group__isnull=False),
                name="connection_conflict_is_about_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(resolution="", resolved_at__isnull=True)
                | (~Q(resolution="") & Q(resolved_at__isnull=False)),
                name="connection_conflict_resolved_exactly_when_there_is_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} wants {self.name}"
