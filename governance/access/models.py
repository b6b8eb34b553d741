"""Tables of who has what, why and until when. Only `access.actions` writes them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value

from governance.catalog.models import (
    AccessPolicyVersion,
    Application,
    ApproverKind,
    BirthrightRule,
    BirthrightRuleVersion,
    Entitlement,
    PolicyProposal,
)
from governance.catalog.stages import Stage, route_for
from governance.core.clock import OPEN_END
from governance.identity.models import Person
from governance.provisioning.models import Operation


class RequestState(models.TextChoices):
    """Where a request stands. What was granted is told by its grant and the read-back."""

    PENDING = "pending", "Waiting"
    APPROVED = "approved", "Approved"
    DENIED = "denied", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"
    LAPSED = "lapsed", "Lapsed"
    CLOSED = "closed", "Closed"


class RequestSet(models.Model):
    """Several entitlements asked for together, with one reason: all of them or none. Insert-only.

    Numbered like requests; `number` is what people see. Each entitlement has a request of its own in it, with its own
    policy, approvers and outcome. A single entitlement is asked for without a set.
    """

    number = models.BigIntegerField(unique=True, editable=False)
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(max_length=2000)
    created_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"R-{self.number}"


class AccessRequest(models.Model):
    """Somebody asks for an entitlement, for a purpose and a time. Permanent; `number` is what people see (R-2041)."""

    number = models.BigIntegerField(unique=True, editable=False)
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="requests_made")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="requests")
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="requests")
    #: What it was asked for together with.
    request_set = models.ForeignKey(
        RequestSet, null=True, blank=True, on_delete=models.PROTECT, related_name="requests", db_index=False
    )
    #: The grant this request wants to end later, when it is an extension.
    extends = models.ForeignKey(
        "Grant", null=True, blank=True, on_delete=models.PROTECT, related_name="extension_requests"
    )
    #: How long; none means open-ended.
    duration = models.DurationField(null=True, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True, help_text="None: as soon as it is approved")
    purpose = models.CharField(max_length=80)
    reason = models.TextField(max_length=2000)
    ticket = models.CharField(max_length=120, blank=True)
    policy_version = models.ForeignKey(AccessPolicyVersion, on_delete=models.PROTECT, related_name="+")
    #: The verdict when it was made, with the facts it saw, so that it can be recomputed.
    verdict = models.JSONField()
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.PENDING)
    #: The stage that waits, from 0; equals len(stages) when all said yes.
    stage = models.PositiveSmallIntegerField(default=0)
    #: Since when that stage waits; none: since it was made.
    stage_since = models.DateTimeField(null=True, blank=True)
    #: When silence at that stage asks the fallback too; none: never, or it did, or who asked has to answer first.
    escalates_at = models.DateTimeField(null=True, blank=True)
    #: Since when the fallback is asked too.
    escalated_at = models.DateTimeField(null=True, blank=True)
    #: Since when a question to who asked has no answer, and how much silence was left then.
    asked_back_at = models.DateTimeField(null=True, blank=True)
    silence_left = models.DurationField(null=True, blank=True)
    #: Who said yes so far, and for whom: none of them is asked again. The database keeps it with the approvals.
    answered_ids = ArrayField(models.BigIntegerField(), default=list, db_default=Value("{}"), editable=False)
    #: The request that was declined in favour of this one, which is about less.
    instead_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="smaller", db_index=False
    )
    created_at = models.DateTimeField()
    lapses_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    #: Why it is closed when nobody decided: left, retired, not_eligible.
    closed_because = models.CharField(max_length=40, blank=True)
    #: When who asked last had those who decide reminded.
    reminded_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", closed_at__isnull=True)
                | (~Q(state="pending") & Q(closed_at__isnull=False)),
                name="access_request_closed_exactly_when_not_pending",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-id"], name="access_request_person"),
            models.Index(fields=["entitlement", "-id"], name="access_request_entitlement"),
            models.Index(fields=["lapses_at"], name="access_request_lapsing", condition=Q(state="pending")),
            models.Index(fields=["created_at"], name="access_request_created"),
            models.Index(fields=["requester", "-id"], name="access_request_requester"),
            models.Index(
                fields=["request_set"], name="access_request_together", condition=Q(request_set__isnull=False)
            ),
            models.Index(
                fields=["escalates_at"], name="access_request_escalating", condition=Q(escalates_at__isnull=False)
            ),
            models.Index(
                fields=["instead_of"], name="access_request_instead_of", condition=Q(instead_of__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"R-{self.number}"

    @property
    def route(self) -> tuple[Stage, ...]:
        """Return who decides this request, in sequence: what its policy says, as its verdict changed it."""
        said = self.verdict.get("verdict", {})
        return route_for(
            self.policy_version.route,
            first_only=said.get("first_only", False),
            adds_security=said.get("adds_security", False),
        )


class Approval(models.Model):
    """One answer at one stage of a request, by a person or by policy. Insert-only."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="approvals")
    stage = models.PositiveSmallIntegerField()
    asked = models.CharField(max_length=20, choices=ApproverKind.choices, help_text="As whom the approver was asked")
    #: None: the policy itself decided.
    approver = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="approvals_given"
    )
    #: Whose place the approver took: somebody who is away, or handed the question over.
    on_behalf_of = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    approved = models.BooleanField()
    reason = models.TextField(max_length=2000, blank=True)
    #: A shorter time than asked for, when the approver chose one.
    duration = models.DurationField(null=True, blank=True)
    #: The facts that were shown beside the buttons.
    facts = models.JSONField()
    policy_version = models.ForeignKey(AccessPolicyVersion, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            # Several people answer at a stage with a quorum, each once.
            models.UniqueConstraint(
                fields=["request", "stage", "approver"], name="approval_given_once", nulls_distinct=False
            )
        ]
        indexes = [models.Index(fields=["approver", "-decided_at"], name="approval_approver")]

    def __str__(self) -> str:
        return f"{self.request_id}/{self.stage}: {'yes' if self.approved else 'no'}"


class TurnKind(models.TextChoices):
    """What happens to a request between asking and answering."""

    QUESTION = "question", "Asked back"
    REPLY = "reply", "Replied"
    HANDED_OVER = "handed_over", "Handed over"
    ESCALATED = "escalated", "Asked the fallback too"


class Turn(models.Model):
    """A question to who asked, their reply, a hand-over, or an escalation, at the stage that waited. Insert-only."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="turns", db_index=False)
    stage = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=12, choices=TurnKind.choices)
    #: None: the clock.
    by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    #: Of a hand-over: whose answer it is about, and who gives it from now on.
    holder_of = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    to = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    text = models.TextField(max_length=2000, blank=True)
    #: Of an escalation: what it was decided from.
    facts = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="handed_over", holder_of__isnull=False, to__isnull=False)
                | (~Q(kind="handed_over") & Q(holder_of__isnull=True, to__isnull=True)),
                name="turn_names_a_holder_exactly_when_handed_over",
            ),
            models.CheckConstraint(
                condition=Q(kind="escalated", by__isnull=True) | (~Q(kind="escalated") & Q(by__isnull=False)),
                name="turn_is_by_the_clock_exactly_when_escalated",
            ),
        ]
        indexes = [
            models.Index(fields=["request", "id"], name="turn_request"),
            models.Index(fields=["request", "stage"], name="turn_handed_over", condition=Q(kind="handed_over")),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}/{self.stage}: {self.kind}"


class Absence(models.Model):
    """Somebody is away from `starts_at` until before `ends_at`, and the deputy may answer what they are asked."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="absences", db_index=False)
    deputy = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="stands_in", db_index=False)
    starts_at = models.DateTimeField()
    #: Moves to the present when they come back earlier, and to the start when they never went.
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="absence_ends_after_it_starts"),
            models.CheckConstraint(condition=~Q(person=F("deputy")), name="absence_has_another_as_deputy"),
        ]
        indexes = [
            models.Index(fields=["person", "ends_at"], name="absence_person"),
            models.Index(fields=["deputy", "ends_at"], name="absence_deputy"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.deputy_id}"


class GrantCause(models.TextChoices):
    """Why a grant exists."""

    BIRTHRIGHT = "birthright", "By role"
    REQUEST = "request", "By request"
    BREAK_GLASS = "break_glass", "Break-glass"
    MANUAL = "manual", "By hand"
    IMPORTED = "imported", "Imported"


class EndCause(models.TextChoices):
    """Why a grant ended."""

    EXPIRED = "expired", "Time was up"
    RETURNED = "returned", "Given back"
    REVOKED = "revoked", "Taken away"
    LEFT = "left", "Person left"
    RULE = "rule", "Rule no longer applies"
    RETIRED = "retired", "Application or role retired"
    CONFLICT = "conflict", "Broke a rule about duties"
    INELIGIBLE = "ineligible", "No longer allowed when it was to begin"


class Grant(models.Model):
    """One reason for one person to have one entitlement from `starts_at` until before `ends_at`.

    Access at an instant is the union of the grants that cover it. `ends_at` is OPEN_END when there is no end.
    This row is the current projection of its revisions. `sweep_at` is when it next needs work: ordering what its
    start or end causes; none when both are done.
    """

    # Each end rewrites a row in every index: none beside those below, which begin with these columns.
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="grants", db_index=False)
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="grants", db_index=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="grants", db_index=False)
    cause = models.CharField(max_length=12, choices=GrantCause.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(default=OPEN_END)
    request = models.ForeignKey(
        AccessRequest, null=True, blank=True, on_delete=models.PROTECT, related_name="grants", db_index=False
    )
    rule_version = models.ForeignKey(
        BirthrightRuleVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="grants", db_index=False
    )
    #: Why it ended or will end before its planned end; empty while it simply runs to `ends_at`.
    end_cause = models.CharField(max_length=10, choices=EndCause.choices, blank=True)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)
    start_ordered_at = models.DateTimeField(null=True, blank=True)
    end_ordered_at = models.DateTimeField(null=True, blank=True)
    give_operation = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.PROTECT, related_name="given_grants", db_index=False
    )
    #: None after the end was ordered: another grant still supports the access, so nothing is taken.
    take_operation = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.PROTECT, related_name="taken_grants", db_index=False
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="grant_ends_after_it_starts"),
            models.UniqueConstraint(
                fields=["person", "entitlement", "rule_version"],
                condition=Q(rule_version__isnull=False, ends_at=OPEN_END),
                name="grant_by_rule_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["application", "person"],
                name="grant_application_person",
                include=["entitlement", "cause", "starts_at", "ends_at"],
            ),
            models.Index(
                fields=["person", "application"],
                name="grant_person_application",
                include=["entitlement", "cause", "starts_at", "ends_at"],
            ),
            models.Index(fields=["person", "entitlement", "ends_at"], name="grant_person_entitlement"),
            # Whole: who could reach a class of data at an instant is answered from it without reading rows.
            models.Index(
                fields=["entitlement", "ends_at"],
                name="grant_entitlement_end",
                include=["starts_at", "created_at", "person", "id"],
            ),
            models.Index(fields=["ends_at", "id"], name="grant_end_due", condition=Q(end_ordered_at__isnull=True)),
            # What ended before it began is never due.
            models.Index(
                fields=["starts_at", "id"],
                name="grant_start_due",
                condition=Q(start_ordered_at__isnull=True, end_ordered_at__isnull=True),
            ),
            models.Index(fields=["ends_at"], name="grant_ended", condition=Q(end_ordered_at__isnull=False)),
            models.Index(fields=["request"], name="grant_request", condition=Q(request__isnull=False)),
            models.Index(fields=["rule_version"], name="grant_rule_version", condition=Q(rule_version__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.entitlement_id} ({self.cause})"


class KeptGrant(models.Model):
    """A grant by rule that no rule gives any more and that runs on, because the brake holds the change that ended it.

    Gone once somebody decided, or a rule gives it again.
    """

    grant = models.OneToOneField(Grant, on_delete=models.CASCADE, related_name="kept")
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.grant_id} since {self.since:%Y-%m-%d %H:%M}"


class GrantRevision(models.Model):
    """What a grant's interval was, and from when we knew it. Insert-only."""

    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="revisions", db_index=False)
    number = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    #: started, extended, shortened, or an EndCause.
    change = models.CharField(max_length=20)
    actor_kind = models.CharField(max_length=10)
    actor_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["grant", "number"], name="grant_revision_number_once")]
        indexes = [models.Index(fields=["grant", "recorded_at"], name="grant_revision_known")]

    def __str__(self) -> str:
        return f"{self.grant_id} r{self.number}"


class FormerBelief(models.Model):
    """What we believed a grant's interval to be, from `known_from` until before `known_until`. Insert-only.

    The database writes it when a revision takes the place of another (migration 0007), so that what was known on a
    date is found without going through every grant's revisions: a grant is as its row says, unless a belief says
    otherwise. The sweeper writes none: that time passes is no revision. Where clocks of machines differ, a belief may
    end before it began; it was never held then.
    """

    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="former_beliefs", db_index=False)
    #: The number of the revision that said so.
    number = models.PositiveIntegerField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="+", db_index=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    known_from = models.DateTimeField()
    known_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grant", "number"], name="former_belief_once"),
        ]
        indexes = [
            models.Index(
                fields=["entitlement", "known_until"],
                name="former_belief_entitlement",
                include=["known_from", "starts_at", "ends_at", "person", "grant"],
            ),
            models.Index(fields=["person", "known_until"], name="former_belief_person"),
        ]

    def __str__(self) -> str:
        return f"{self.grant_id} r{self.number} until {self.known_until}"


class Withheld(models.Model):
    """Access that is not given because it would break a blocking rule about duties.

    With `rule_version`, a birthright rule gives it and it waits until nothing forbids it or nothing gives it any more.
    With `grant`, it was to begin and was called off for good.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="withheld")
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="withheld")
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="+")
    rule_version = models.ForeignKey(
        BirthrightRuleVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="withheld"
    )
    grant = models.ForeignKey(Grant, null=True, blank=True, on_delete=models.PROTECT, related_name="withheld")
    #: The primary keys of the rules it would break and of the entitlements it would break them with.
    sod_rule_ids = ArrayField(models.BigIntegerField())
    other_ids = ArrayField(models.BigIntegerField())
    since = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rule_version__isnull=True, grant__isnull=False)
                | Q(rule_version__isnull=False, grant__isnull=True),
                name="withheld_from_a_rule_or_a_grant",
            ),
            models.UniqueConstraint(
                fields=["person", "entitlement", "rule_version"],
                condition=Q(ended_at__isnull=True),
                name="withheld_once",
            ),
        ]
        indexes = [models.Index(fields=["person"], name="withheld_waiting", condition=Q(ended_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.entitlement_id}"


class RuleRun(models.Model):
    """Everybody is brought in line with a birthright rule that changed: what is to be done, and how far it is.

    The mark moves in the transaction that does the work, so that a worker may be killed anywhere. What fails is tried
    again at `retry_at`, and put aside at `parked_at` when it failed too often in a row: until a person wants it tried
    again, or a later run of the rule has done what it was to do.
    """

    rule = models.ForeignKey(BirthrightRule, on_delete=models.PROTECT, related_name="runs")
    #: The version that was saved; none when the rule was retired.
    version = models.ForeignKey(
        BirthrightRuleVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    created_at = models.DateTimeField()
    created_by_ref = models.CharField(max_length=120)
    correlation_id = models.CharField(max_length=32)
    due_at = models.DateTimeField()
    #: When a worker first saw the change, by the clock of the database: what began before may not have seen it.
    seen_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    #: Primary keys of the people it concerns, in order; empty again when it is finished.
    people = ArrayField(models.BigIntegerField(), default=list, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    started = models.PositiveIntegerField(default=0)
    went_on = models.PositiveIntegerField(default=0)
    ended = models.PositiveIntegerField(default=0)
    kept = models.PositiveIntegerField(default=0)
    held_back = models.PositiveIntegerField(default=0)
    #: How often in a row a step of it failed, and what of.
    failures = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)
    cause = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="rule_run_does_no_more_than_it_listed"),
            models.CheckConstraint(
                condition=Q(parked_at__isnull=True) | (Q(failures__gt=0) & ~Q(cause="")),
                name="rule_run_is_parked_for_a_cause",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="rule_run_due", condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.done}/{self.total}"


class ReplayRun(models.Model):
    """The requests of a time are decided again under a draft of a policy: how far that came, and what it came to.

    The mark moves in the transaction that counts, so that a worker may be killed anywhere. A run is done, or stopped
    because it failed too often in a row, for good: whoever wants it again asks anew.
    """

    #: The policy whose requests they are.
    slug = models.SlugField(max_length=80, db_index=False)
    #: As `catalog.policy_terms` stores them, and what stands for them.
    terms = models.JSONField()
    digest = models.CharField(max_length=64)
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    since = models.DateTimeField()
    #: When it was asked for: later requests are not looked at.
    until = models.DateTimeField()
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    #: The primary key of the request that was decided again last; the next have lower ones.
    reached = models.BigIntegerField(null=True, blank=True)
    #: {counts, different: [[change, number], …], unknown_count, unknown: [[number, why], …]}
    tally = models.JSONField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    #: How often in a row a batch failed, when it is tried again, and what kind of failure it was.
    failures = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    cause = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="replay_run_does_no_more_than_there_is"),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(stopped_at__isnull=True), name="replay_run_has_one_end"
            ),
        ]
        indexes = [
            models.Index(fields=["digest", "-id"], name="replay_run_digest"),
            models.Index(
                fields=["id"], name="replay_run_due", condition=Q(finished_at__isnull=True, stopped_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slug}: {self.done}/{self.total}"

    @property
    def is_open(self) -> bool:
        """Tell whether there is something to do yet."""
        return self.finished_at is None and self.stopped_at is None

    @property
    def state(self) -> str:
        """Return `waiting`, `running`, `done` or `stopped`."""
        if self.finished_at is not None:
            return "done"
        return "stopped" if self.stopped_at else "running" if self.started_at else "waiting"


class ProposedWith(models.Model):
    """Which replay a proposal of a policy was proposed with."""

    proposal = models.OneToOneField(PolicyProposal, on_delete=models.PROTECT, related_name="proposed_with")
    run = models.ForeignKey(ReplayRun, on_delete=models.PROTECT, related_name="proposed")

    def __str__(self) -> str:
        return f"{self.proposal_id} with {self.run_id}"


class CalledOff(models.Model):
    """A grant that was booked ahead and did not begin, with every reason why not. Insert-only."""

    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, related_name="called_off")
    at = models.DateTimeField()
    #: [{code, sentence}, …]
    reasons = models.JSONField()
    correlation_id = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"{self.grant_id} called off"


class EndQuestion(models.Model):
    """The time of a grant was up and whoever answers for the application was asked; it runs on until `kept_until`.

    Answered once, by a person; unanswered, the grant ends at `kept_until` and is not asked about again.
    """

    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="end_questions", db_index=False)
    #: When it was to end.
    due_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    kept_until = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    #: Until when it lasts by the answer; none: it was ended.
    lasts_until = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(max_length=2000, blank=True)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["grant", "due_at"], name="end_question_once"),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, answered_by__isnull=True, lasts_until__isnull=True)
                | Q(answered_at__isnull=False, answered_by__isnull=False),
                name="end_question_answered_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["kept_until"], name="end_question_open", condition=Q(answered_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.grant_id} until {self.kept_until}"


class RuleSuggestion(models.Model):
    """What people with something in common have, and no rule gives them: found by looking, applied by nobody.

    All rows are from the last look and are replaced by the next. `place` counts what people have in common, the most
    people first.
    """

    place = models.PositiveIntegerField()
    #: What they have in common, as a condition calls it; `active` is everybody.
    attribute = models.CharField(max_length=40)
    value = models.CharField(max_length=320)
    entitlement = models.ForeignKey(Entitlement, on_delete=models.CASCADE, related_name="+")
    #: How many people have it in common, how many of them have the role, and how many of those by a rule.
    people = models.PositiveIntegerField()
    holders = models.PositiveIntegerField()
    by_rule = models.PositiveIntegerField()
    looked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attribute", "value", "entitlement"], name="rule_suggestion_once"),
            models.CheckConstraint(condition=Q(holders__lte=F("people")), name="rule_suggestion_holders_are_people"),
        ]
        indexes = [models.Index(fields=["place", "id"], name="rule_suggestion_place")]

    def __str__(self) -> str:
        return f"{self.attribute} {self.value}: {self.entitlement_id}"

    @property
    def missing(self) -> int:
        """Return how many of the people do not have it."""
        return self.people - self.holders

    @property
    def percent(self) -> int:
        """Return how many of a hundred have it, rounded down so that only everybody is all."""
        return 100 * self.holders // self.people


class BreakGlass(models.Model):
    """Somebody took access in an emergency. Nobody decided before; somebody else reviews it by `review_due_at`."""

    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, related_name="break_glass")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    entitlement = models.ForeignKey(Entitlement, on_delete=models.PROTECT, related_name="+")
    policy_version = models.ForeignKey(AccessPolicyVersion, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(max_length=2000)
    #: The rules about duties it broke, as they were shown.
    duties = models.JSONField(default=list)
    opened_at = models.DateTimeField()
    review_due_at = models.DateTimeField()
    #: When it was recorded that nobody reviewed it in time.
    overdue_noted_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        indexes = [
            models.Index(fields=["review_due_at"], name="break_glass_due", condition=Q(overdue_noted_at__isnull=True)),
            models.Index(fields=["opened_at"], name="break_glass_opened"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.entitlement_id} at {self.opened_at}"


class BreakGlassReview(models.Model):
    """What somebody else found about an emergency. Insert-only."""

    break_glass = models.OneToOneField(BreakGlass, on_delete=models.PROTECT, related_name="review")
    reviewer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    is_justified = models.BooleanField()
    done = models.TextField(max_length=2000, help_text="What was done with the access")
    follow_up = models.TextField(max_length=2000, blank=True)
    written_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"{self.break_glass_id}: {'justified' if self.is_justified else 'not justified'}"
