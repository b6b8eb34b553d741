"""Tables of what can be had and under which rules. Only `catalog.actions` writes them."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.catalog.stages import Stage, route_of
from governance.identity.models import Person


class Risk(models.IntegerChoices):
    """How much harm it can do: four bars."""

    LOW = 1, "Low"
    MEDIUM = 2, "Medium"
    HIGH = 3, "High"
    CRITICAL = 4, "Critical"


class DataClass(models.TextChoices):
    """Which protected data can be reached."""

    PHI = "phi", "Patient data"
    PII = "pii", "Personal data"
    FINANCIAL = "financial", "Financial data"
    SOURCE_CODE = "source_code", "Source code"


class Application(models.Model):
    """A SaaS application whose access Gatehouse governs."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=300, blank=True)
    category = models.CharField(max_length=60, blank=True)
    #: Its id in the shipped catalogue, when it was added from there.
    catalogue_id = models.CharField(max_length=80, blank=True)
    icon = models.CharField(max_length=80, blank=True, help_text="Simple Icons slug; empty shows a two-letter tile")
    risk = models.PositiveSmallIntegerField(choices=Risk.choices, default=Risk.MEDIUM)
    data_classes = ArrayField(models.CharField(max_length=20, choices=DataClass.choices), default=list, blank=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)
    #: For how long at most an open session there goes on after its access was taken away, as the owners say.
    session_hours = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["name", "id"], name="application_name")]

    def __str__(self) -> str:
        return self.name


class ApplicationOwner(models.Model):
    """A person answers for an application: decides requests and reviews its access."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="ownerships")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="ownerships")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "person"], name="application_owner_once")]

    def __str__(self) -> str:
        return f"{self.application_id}: {self.person_id}"


class AccessPolicy(models.Model):
    """A named policy; what it says stands in its versions."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class ApproverKind(models.TextChoices):
    """Who decides at a stage."""

    MANAGER = "manager", "Manager"
    MANAGERS_MANAGER = "managers_manager", "Manager of the manager"
    OWNER = "owner", "Application owner"
    SECURITY = "security", "Security"
    GROUP = "group", "Somebody of a group"
    PEOPLE = "people", "Named people"


class Extending(models.TextChoices):
    """Who decides when somebody wants running access for longer."""

    FULL = "full", "Everybody who decides a new request"
    ONE = "one", "The first who decides a new request"
    AUTOMATIC = "automatic", "Nobody: within the longest time, at once"


class AtEnd(models.TextChoices):
    """What happens when the time is up."""

    REMOVE = "remove", "It is taken away"
    ASK = "ask", "The owner is asked; unanswered, it is taken away after a grace"


class AccessPolicyVersion(models.Model):
    """What a policy says from `effective_at` on: who may ask, for how long, who decides. Insert-only."""

    policy = models.ForeignKey(AccessPolicy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    #: SCIM filter expression over people; empty means everybody.
    may_request = models.TextField(blank=True)
    default_duration = models.DurationField(default=timedelta(hours=4))
    max_duration = models.DurationField(default=timedelta(days=30))
    allows_open_end = models.BooleanField(default=False)
    purposes = ArrayField(models.CharField(max_length=80), default=list)
    requires_ticket = models.BooleanField(default=False)
    #: Regular expression that a whole ticket number has to match; empty takes any.
    ticket_pattern = models.CharField(max_length=200, blank=True, db_default="")
    #: SCIM filter expression; what people it matches ask for is declined by policy at once. Empty: nobody's.
    auto_deny = models.TextField(blank=True, db_default="")
    #: SCIM filter expression; people it matches are approved by policy at once, up to `auto_approve_up_to`.
    auto_approve = models.TextField(blank=True)
    auto_approve_up_to = models.DurationField(default=timedelta(0))
    #: Points of risk (0 to 100) from which nothing is approved by policy, security decides too, nothing is granted.
    never_automatic_from = models.PositiveSmallIntegerField(null=True, blank=True)
    needs_security_from = models.PositiveSmallIntegerField(null=True, blank=True)
    refused_from = models.PositiveSmallIntegerField(null=True, blank=True)
    #: Stages in sequence, as `catalog.stages` stores them.
    stages = models.JSONField(default=list)
    #: Whether whoever decides may choose a shorter time than asked for.
    may_shorten = models.BooleanField(default=True, db_default=True)
    extending = models.CharField(
        max_length=10, choices=Extending.choices, default=Extending.FULL, db_default=Extending.FULL
    )
    at_end = models.CharField(max_length=10, choices=AtEnd.choices, default=AtEnd.REMOVE, db_default=AtEnd.REMOVE)
    #: The grace of `AtEnd.ASK`.
    kept_for = models.DurationField(default=timedelta(0), db_default=timedelta(0))
    #: How long before the end whoever has it is warned.
    warns_before_seconds = ArrayField(models.PositiveIntegerField(), default=list)
    #: How long break-glass gives it; none: there is no break-glass. And SCIM filter expression: for whom.
    break_glass_up_to = models.DurationField(null=True, blank=True)
    may_break_glass = models.TextField(blank=True, db_default="")
    #: Who reviews break-glass, as `catalog.stages.Approvers` is stored; empty: security.
    break_glass_reviewer = models.JSONField(default=dict)
    #: A request nobody answers lapses after this long.
    lapses_after = models.DurationField(default=timedelta(days=14))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="access_policy_version_number_once"),
            models.CheckConstraint(
                condition=Q(max_duration__gt=timedelta(0), default_duration__gt=timedelta(0)),
                name="access_policy_version_durations_are_positive",
            ),
            models.CheckConstraint(
                condition=Q(default_duration__lte=models.F("max_duration")),
                name="access_policy_version_default_within_max",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} v{self.number}"

    @property
    def route(self) -> tuple[Stage, ...]:
        """Return who decides, in sequence."""
        return route_of(self.stages)

    @property
    def stage_kinds(self) -> list[str]:
        """Return the kind of approver at each stage."""
        return [stage["kind"] for stage in self.stages]


class ProposalState(models.TextChoices):
    """Where the proposal of a policy stands."""

    PENDING = "pending", "Waiting"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"


class PolicyProposal(models.Model):
    """Terms that somebody wants a policy to have, and the second person's answer.

    What is proposed never changes and an answer is final, by trigger. `slug` is that of the policy; of a new one
    (`base` is none) the one it gets. Whoever wants something else proposes anew.
    """

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)
    #: The version in force that it was written for.
    base = models.ForeignKey(
        AccessPolicyVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="proposals"
    )
    #: As `catalog.policy_terms` stores them.
    terms = models.JSONField()
    why = models.TextField(max_length=2000)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ProposalState.choices, default=ProposalState.PENDING)
    decided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(max_length=2000, blank=True)
    #: What was written when it was approved.
    version = models.OneToOneField(
        AccessPolicyVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="proposal"
    )
    #: The first version of a new policy in a company with one security administrator, who says so: nobody else looked.
    is_alone = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", decided_at__isnull=True, decided_by__isnull=True)
                | (~Q(state="pending") & Q(decided_at__isnull=False, decided_by__isnull=False)),
                name="policy_proposal_answered_exactly_when_not_pending",
            ),
            models.CheckConstraint(
                condition=Q(state="approved", version__isnull=False) | (~Q(state="approved") & Q(version__isnull=True)),
                name="policy_proposal_has_version_exactly_when_approved",
            ),
            models.CheckConstraint(
                condition=Q(is_alone=True)
                | ~Q(state__in=["approved", "declined"])
                | ~Q(decided_by=models.F("proposed_by")),
                name="policy_proposal_is_decided_by_a_second_person",
            ),
            models.CheckConstraint(
                condition=Q(is_alone=False) | Q(base__isnull=True),
                name="policy_proposal_is_alone_only_for_a_new_policy",
            ),
        ]
        indexes = [
            models.Index(fields=["slug", "-id"], name="policy_proposal_slug"),
            models.Index(fields=["id"], name="policy_proposal_waiting", condition=Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"P-{self.pk}: {self.name}"

    @property
    def is_waiting(self) -> bool:
        """Tell whether it waits for an answer."""
        return self.state == ProposalState.PENDING


class EntitlementKind(models.TextChoices):
    """What it is inside the application."""

    ROLE = "role", "Role"
    GROUP = "group", "Group"
    LICENCE = "licence", "Licence"
    PERMISSION = "permission", "Permission"


class Entitlement(models.Model):
    """A role, group, licence or permission inside an application."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="entitlements")
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=EntitlementKind.choices, default=EntitlementKind.GROUP)
    #: What the application calls it: the display name of a group, the value of a role.
    target_ref = models.CharField(max_length=320)
    #: One plain sentence: what it lets somebody do.
    sentence = models.CharField(max_length=300)
    risk = models.PositiveSmallIntegerField(choices=Risk.choices, default=Risk.MEDIUM)
    data_classes = ArrayField(models.CharField(max_length=20, choices=DataClass.choices), default=list, blank=True)
    is_privileged = models.BooleanField(default=False)
    is_requestable = models.BooleanField(default=True)
    policy = models.ForeignKey(AccessPolicy, on_delete=models.PROTECT, related_name="entitlements")
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["application", "slug"], name="entitlement_slug_once"),
            # What is retired can be added again.
            models.UniqueConstraint(
                fields=["application", "kind", "target_ref"],
                condition=Q(retired_at__isnull=True),
                name="entitlement_in_use_target_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApplicationRevision(models.Model):
    """What an application said of itself from `effective_at`, as we knew it from `recorded_at`. Insert-only.

    The database writes the first one with its row; the first is taken for what was so before as well.
    """

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="revisions", db_index=False)
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    name = models.CharField(max_length=120)
    risk = models.PositiveSmallIntegerField(choices=Risk.choices)
    data_classes = ArrayField(models.CharField(max_length=20, choices=DataClass.choices), default=list)
    change = models.CharField(max_length=20, help_text="added, changed")
    correlation_id = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["application", "number"], name="application_revision_once")]

    def __str__(self) -> str:
        return f"{self.application_id} r{self.number}"


class EntitlementRevision(models.Model):
    """What an entitlement said of itself from `effective_at`, as we knew it from `recorded_at`. Insert-only.

    The database writes the first one with its row; the first is taken for what was so before as well.
    """

    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="revisions", db_index=False)
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    name = models.CharField(max_length=120)
    sentence = models.CharField(max_length=300)
    risk = models.PositiveSmallIntegerField(choices=Risk.choices)
    data_classes = ArrayField(models.CharField(max_length=20, choices=DataClass.choices), default=list)
    is_privileged = models.BooleanField(default=False)
    change = models.CharField(max_length=20, help_text="added, changed, retired")
    correlation_id = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entitlement", "number"], name="entitlement_revision_once")]

    def __str__(self) -> str:
        return f"{self.entitlement_id} r{self.number}"


class BirthrightRule(models.Model):
    """A named rule that gives access by who somebody is; what it says stands in its versions."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class RuleEffect(models.TextChoices):
    """What a birthright rule does with its roles for whom it applies to."""

    GIVE = "give", "Gives roles"
    KEEP_AWAY = "keep_away", "Keeps roles away"


#: What stands first decides first; new rules stand in the middle.
USUAL_PRIORITY = 100


class BirthrightRuleVersion(models.Model):
    """Whom a rule applies to and what it gives them, or keeps away from them, from `effective_at` on. Insert-only.

    The version in force is the one with the highest number that has begun and was not called off: one that is saved
    later replaces one that is planned. A rule that keeps away does so for rules of the same and of a higher number in
    `priority`.
    """

    rule = models.ForeignKey(BirthrightRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    effect = models.CharField(max_length=10, choices=RuleEffect.choices, default=RuleEffect.GIVE)
    #: 1 decides first.
    priority = models.PositiveSmallIntegerField(default=USUAL_PRIORITY)
    #: SCIM filter expression over people.
    condition = models.TextField()
    #: SCIM filter expression over people it does not apply to; empty excepts nobody.
    except_condition = models.TextField(blank=True, default="")
    #: Primary keys of people it does not apply to, whoever they are.
    except_person_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    #: Whom it no longer applies to keeps the roles for so long. Leavers do not.
    grace = models.DurationField(default=timedelta(0))
    entitlements = models.ManyToManyField(Entitlement, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "number"], name="birthright_rule_version_number_once"),
            models.CheckConstraint(condition=Q(priority__gte=1), name="birthright_rule_version_priority_from_one"),
            models.CheckConstraint(
                condition=Q(grace__gte=timedelta(0)), name="birthright_rule_version_grace_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} v{self.number}"


class RuleCallOff(models.Model):
    """A version of a birthright rule was taken back before it began: it never counts. Insert-only."""

    version = models.OneToOneField(BirthrightRuleVersion, on_delete=models.PROTECT, related_name="call_off")
    at = models.DateTimeField()
    by_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"{self.version_id} called off"


class SodRule(models.Model):
    """A named rule about which duties nobody should unite; what it says stands in its versions."""

    slug = models.SlugField(max_length=80, unique=True)
    #: The name of its latest version.
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SodEffect(models.TextChoices):
    """What happens when somebody asks for what would break a rule."""

    BLOCK = "block", "Refuse it"
    WARN = "warn", "Warn who decides"


class SodSide(models.TextChoices):
    """Where a role stands in a rule. A rule with a limit has one side only."""

    FIRST = "a", "First set"
    SECOND = "b", "Second set"


class SodRuleVersion(models.Model):
    """What a rule says from `effective_at` on. Insert-only.

    With `at_most`, nobody has more of the first set than that; without, nobody has one of the first together with one
    of the second.
    """

    rule = models.ForeignKey(SodRule, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    name = models.CharField(max_length=120)
    #: One plain sentence: what somebody with both could do.
    why = models.CharField(max_length=300)
    at_most = models.PositiveSmallIntegerField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField(choices=Risk.choices, default=Risk.HIGH)
    effect = models.CharField(max_length=8, choices=SodEffect.choices, default=SodEffect.BLOCK)
    #: Who answers for the rule.
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "number"], name="sod_rule_version_number_once"),
            models.CheckConstraint(
                condition=Q(at_most__isnull=True) | Q(at_most__gte=1), name="sod_rule_version_limit_leaves_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} v{self.number}"


class SodMember(models.Model):
    """A role on a side of a version of a rule. Insert-only."""

    version = models.ForeignKey(SodRuleVersion, on_delete=models.PROTECT, related_name="members")
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=1, choices=SodSide.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "entitlement"], name="sod_member_on_one_side_only")]

    def __str__(self) -> str:
        return f"{self.version_id}{self.side}: {self.entitlement_id}"


class SodException(models.Model):
    """A person may break a rule until `ends_at`, and somebody else answers for it."""

    rule = models.ForeignKey(SodRule, on_delete=models.PROTECT, related_name="exceptions")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="sod_exceptions")
    reason = models.TextField(max_length=2000)
    granted_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    #: When somebody ended it before its time, and who.
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=models.F("starts_at")), name="sod_exception_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=~Q(granted_by=models.F("person")), name="sod_exception_not_granted_to_oneself"
            ),
            models.CheckConstraint(
                condition=~Q(owner=models.F("person")), name="sod_exception_answered_for_by_another"
            ),
        ]
        indexes = [models.Index(fields=["person", "ends_at"], name="sod_exception_person")]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.person_id}"


class Package(models.Model):
    """A named bundle of entitlements that people ask for together; what it holds stands in its versions."""

    slug = models.SlugField(max_length=80, unique=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.slug


class PackageVersion(models.Model):
    """What a package is called and holds from `effective_at` on. Insert-only."""

    package = models.ForeignKey(Package, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    effective_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    name = models.CharField(max_length=120)
    #: One plain sentence: for whom it is, and for what.
    sentence = models.CharField(max_length=300)
    entitlements = models.ManyToManyField(Entitlement, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["package", "number"], name="package_version_number_once")]

    def __str__(self) -> str:
        return f"{self.package_id} v{self.number}"


class RiskProposalState(models.TextChoices):
    """Where a proposal of other weights stands."""

    WAITING = "waiting", "Waits for a second person"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Taken back"


class RiskProposal(models.Model):
    """Somebody proposes what facts add to a score of risk; a second person decides."""

    #: The version it was made from; 0 is what is shipped.
    based_on = models.PositiveIntegerField()
    weights = models.JSONField()
    why = models.CharField(max_length=500)
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=RiskProposalState.choices, default=RiskProposalState.WAITING)
    decided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at__isnull=True)
                | (~Q(state="waiting") & Q(decided_at__isnull=False)),
                name="risk_proposal_settled_exactly_when_not_waiting",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | ~Q(decided_by=models.F("proposed_by")),
                name="risk_proposal_approved_by_a_second_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk} on v{self.based_on}"


class RiskWeights(models.Model):
    """What facts add to a score of risk, from `effective_at` on. Insert-only; before the first, what is shipped."""

    number = models.PositiveIntegerField(unique=True)
    weights = models.JSONField()
    proposal = models.OneToOneField(RiskProposal, on_delete=models.PROTECT, related_name="version")
    effective_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"v{self.number}"
