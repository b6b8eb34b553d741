"""Tables of bundles: what they choose, what was asked, how far the building is, which manifests the ledger knows."""

from __future__ import annotations

import uuid
from datetime import date

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.text import slugify

from governance.evidence.narrowing import Chosen, Selection
from governance.evidence.periods import Period
from governance.evidence.questions import Pin, Question

LONGEST_NAME = 80


class BundleState(models.TextChoices):
    """How far a bundle is. Only `ready` can be downloaded."""

    QUEUED = "queued", "Waiting to be built"
    SEALING = "sealing", "Waiting for the log to seal what was recorded before"
    BUILDING = "building", "Reading reports"
    PROVING = "proving", "Waiting for the log to seal the manifest"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


#: States in which there is work to do.
OPEN_STATES = (BundleState.QUEUED, BundleState.SEALING, BundleState.BUILDING, BundleState.PROVING)


class Definition(models.Model):
    """What bundles of a framework shall hold, under a name. What exactly is said by its versions."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    #: As its last version has it.
    name = models.CharField(max_length=LONGEST_NAME)
    framework = models.CharField(max_length=20)
    made_at = models.DateTimeField()
    made_by_ref = models.CharField(max_length=120)
    #: From then on nothing new is asked by it; what was asked before can be built again.
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("name"), condition=Q(retired_at__isnull=True), name="definition_names_are_told_apart"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="definition_has_a_name"),
        ]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class DefinitionVersion(models.Model):
    """What a definition chooses from then on: reports, columns, rows. Insert-only."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=LONGEST_NAME)
    #: Short names of applications; none: all.
    applications = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    #: A list of `Chosen.as_json()`.
    reports = models.JSONField()
    #: Why it was made or changed, in the words of whoever did.
    reason = models.CharField(max_length=500, blank=True)
    #: Of what is chosen, hexadecimal: `Selection.sha256`.
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    made_by_ref = models.CharField(max_length=120)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["definition", "number"], name="definition_version_is_told_apart"),
            models.CheckConstraint(condition=Q(number__gte=1), name="definition_versions_count_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.number}"

    def selection(self) -> Selection:
        """Return what it chooses, as a value."""
        return Selection(
            ref=str(self.definition.ref),
            name=self.name,
            version=self.number,
            framework=self.definition.framework,
            applications=tuple(self.applications),
            chosen=tuple(Chosen.of_json(one) for one in self.reports),
        )


class EvidenceBundle(models.Model):
    """Somebody asked for a bundle. The row carries everything a worker needs to start, or to start over."""

    ref = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    framework = models.CharField(max_length=20)
    first_day = models.DateField()
    last_day = models.DateField()
    zone = models.CharField(max_length=64)
    leaver_sla_hours = models.PositiveIntegerField()
    freshness_hours = models.PositiveIntegerField()
    #: Short names of the applications it is about; none: all.
    applications = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    #: What it chooses of the framework's pack; none: all of it.
    definition = models.ForeignKey(
        DefinitionVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="bundles"
    )
    #: The knowledge cut: when it was asked for, or what an earlier bundle said.
    known_at = models.DateTimeField()
    #: The last row of the ledger's outbox when the building began; the ledger is pinned once it is sealed.
    outbox_mark = models.BigIntegerField(null=True, blank=True)
    #: The size of the ledger the bundle is pinned to.
    ledger_size = models.BigIntegerField(null=True, blank=True)
    #: The cut of an earlier bundle: then this one also says what became known since.
    since_known_at = models.DateTimeField(null=True, blank=True)
    since_ledger_size = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=BundleState.choices, default=BundleState.QUEUED)
    #: The step at work and its number, for the page that waits.
    step = models.CharField(max_length=200, blank=True)
    steps_done = models.PositiveSmallIntegerField(default=0)
    steps = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    #: The file under BUNDLE_DIR, once it is whole.
    file_name = models.CharField(max_length=120, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    #: Control totals for the page: report id to rows and exceptions, and the gaps in coverage.
    summary = models.JSONField(default=dict, blank=True)
    made_by_ref = models.CharField(max_length=120)
    made_at = models.DateTimeField()
    ready_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=models.F("first_day")), name="bundle_days_are_in_order"),
            models.CheckConstraint(
                condition=Q(since_known_at__isnull=True, since_ledger_size__isnull=True)
                | Q(since_known_at__isnull=False, since_ledger_size__isnull=False),
                name="bundle_since_is_a_whole_cut",
            ),
            models.CheckConstraint(
                condition=~Q(state="ready")
                | (~Q(file_name="") & ~Q(sha256="") & Q(size__isnull=False, ready_at__isnull=False)),
                name="bundle_ready_has_its_file",
            ),
        ]
        indexes = [
            models.Index(fields=["-made_at", "-id"], name="bundle_newest"),
            models.Index(
                fields=["id"],
                name="bundle_open",
                condition=Q(state__in=["queued", "sealing", "building", "proving"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.framework} {self.first_day} to {self.last_day}"

    @property
    def period(self) -> Period:
        """Return the stretch of time it is about."""
        return Period(self.first_day, self.last_day, self.zone)

    def question(self) -> Question:
        """Return what it asks. Raises ValueError before the ledger is pinned."""
        if self.ledger_size is None:
            raise ValueError("The bundle is not pinned to a size of the ledger yet.")
        return Question(
            framework=self.framework,
            period=self.period,
            known_at=self.known_at,
            ledger_size=self.ledger_size,
            leaver_sla_hours=self.leaver_sla_hours,
            freshness_hours=self.freshness_hours,
            applications=tuple(self.applications),
            selection=self.definition.selection() if self.definition else None,
        )

    def since(self) -> Pin | None:
        """Return the earlier cut that it is compared with, or None."""
        if self.since_known_at is None or self.since_ledger_size is None:
            return None
        return Pin(self.since_known_at, self.since_ledger_size)

    @property
    def suggested_name(self) -> str:
        """Return the file name to download it under."""
        chosen = f"-{slugify(self.definition.name)}-v{self.definition.number}" if self.definition else ""
        return f"gatehouse-{self.framework}{chosen}-{_compact(self.first_day)}-{_compact(self.last_day)}.zip"


class ExportedManifest(models.Model):
    """A manifest that the ledger was told of. The same manifest again has the same entry. Insert-only."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.sha256


def _compact(day: date) -> str:
    return day.strftime("%Y%m%d")
