"""Audits: opened, shared with guests and ended by the company; read by auditors. Guests reach their own only."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import READ, READ_AND_WRITE, DoorView
from governance.api.evidence import BUNDLE_PAGE, READERS, renamed
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, checked, page_of
from governance.api.shapes import BundleShape, NothingIn
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.engagements import inviting, opening, queries
from governance.engagements.letters import send_link
from governance.engagements.models import Engagement, Guest
from governance.engagements.rights import check_may_read, has_ended
from governance.evidence import actions as evidence
from governance.evidence import queries as evidence_queries
from governance.evidence.models import EvidenceBundle
from governance.identity.models import RoleName

HOSTS = frozenset({RoleName.SECURITY_ADMIN})


class EngagementBundleIn(StrictSerializer):
    """A bundle of an audit to build."""

    definition = serializers.UUIDField(required=False, help_text="What is chosen of the framework; not for guests")


class GuestShape(serializers.ModelSerializer[Guest]):
    """Somebody from outside who is invited. `accepted_at` null: they did not come yet."""

    class Meta:
        model = Guest
        fields = [
            "id", "name", "email", "invited_at", "invited_by_ref", "expires_at", "accepted_at", "withdrawn_at",
        ]  # fmt: skip


class EngagementShape(serializers.ModelSerializer[Engagement]):
    """An audit, over civil days in `zone`, both included; `applications` empty: all. How many requests wait for whom.

    Guests look until `ends_at`, or until `closed_at`.
    """

    has_ended = serializers.SerializerMethodField(help_text="Guests see nothing of it any more")
    requests = serializers.IntegerField(source="total", read_only=True)
    requests_waiting = serializers.IntegerField(source="waiting", read_only=True, help_text="For the company")
    requests_answered = serializers.IntegerField(source="answered", read_only=True, help_text="Wait for the auditor")
    requests_accepted = serializers.IntegerField(source="accepted", read_only=True)

    class Meta:
        model = Engagement
        fields = [
            "ref", "name", "framework", "first_day", "last_day", "zone", "applications", "ends_at", "has_ended",
            "opened_at", "opened_by_ref", "closed_at", "requests", "requests_waiting", "requests_answered",
            "requests_accepted",
        ]  # fmt: skip

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_has_ended(self, found: Engagement) -> bool:
        """Tell whether its guests see nothing of it any more."""
        return has_ended(found, now())


class OneEngagementShape(EngagementShape):
    """An audit with who is invited; `guests` is null for guests."""

    guests = serializers.SerializerMethodField()

    class Meta(EngagementShape.Meta):
        fields = [*EngagementShape.Meta.fields, "guests"]

    @extend_schema_field(GuestShape(many=True, allow_null=True))
    def get_guests(self, found: Engagement) -> Any:
        """Return who is invited, those that were withdrawn as well."""
        return None if self.context["view"].is_guest else GuestShape(queries.guests_of(found), many=True).data


class EngagementIn(StrictSerializer):
    """A new audit; guests look until the end of `ends_on` in `zone`."""

    name = serializers.CharField(max_length=120)
    framework = serializers.CharField(max_length=20)
    first_day = serializers.DateField()
    last_day = serializers.DateField()
    zone = serializers.CharField(max_length=64, default="UTC")
    ends_on = serializers.DateField()
    applications = serializers.ListField(
        child=serializers.CharField(max_length=120), default=list, max_length=1000, help_text="Slugs; empty: all"
    )


class LastDayIn(StrictSerializer):
    """Until the end of which day guests look."""

    ends_on = serializers.DateField()


class InviteIn(StrictSerializer):
    """Whom to invite."""

    name = serializers.CharField(max_length=120)
    email = serializers.CharField(max_length=320)


class InvitedShape(serializers.Serializer[Any]):
    """An invitation; its link works once and is shown here only."""

    guest = GuestShape()
    link = serializers.URLField()
    mail = serializers.CharField(help_text="What became of the mail, in a sentence")


class EngagementView(DoorView):
    """A view for the company, its auditors, and the guests of the audit."""

    needs = reads = READERS
    guests = READ_AND_WRITE

    def engagement(self, ref: uuid.UUID) -> Engagement:
        """Return the audit. Raises NotFound, and NotAllowed for a guest who was not invited or came too late."""
        found = queries.engagement(ref)
        check_may_read(found, self.actor)
        return found

    def shown(self, found: Engagement) -> dict[str, Any]:
        """Return one audit as it is now."""
        row = queries.engagements().get(pk=found.pk)
        return dict(OneEngagementShape(row, context={"view": self}).data)


class Engagements(ListView):
    """Audits."""

    needs = HOSTS
    reads = READERS
    guests = READ
    shape = EngagementShape
    ordering = "-id"

    @extend_schema(
        operation_id="engagements_list",
        summary="Audits, the newest first; to a guest those they were invited to",
        parameters=[*PAGE_WORDS],
        responses=page_of(EngagementShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of audits."""
        return self.page(queries.engagements(guest=self.person if self.is_guest else None))

    @extend_schema(
        summary="Open an audit with the usual requests of its framework",
        request=EngagementIn,
        responses={201: OneEngagementShape},
    )
    def post(self, request: Request) -> Response:
        """Open it."""
        said = checked(EngagementIn, request)
        first, last = said.pop("first_day"), said.pop("last_day")
        try:
            opened = opening.open_engagement(**said, first=first, last=last, actor=self.actor)
        except Invalid as error:
            raise renamed(error) from error
        row = queries.engagements().get(pk=opened.pk)
        return Response(OneEngagementShape(row, context={"view": self}).data, status=201)


class OneEngagement(EngagementView):
    """One audit."""

    @extend_schema(summary="One audit: period, scope, end, and who is invited", responses=OneEngagementShape)
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return it."""
        return Response(self.shown(self.engagement(ref)))


class ExtendEngagement(EngagementView):
    """Another end."""

    needs, guests = HOSTS, frozenset()

    @extend_schema(summary="Have guests look until another day", request=LastDayIn, responses=OneEngagementShape)
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Keep the new end."""
        found = self.engagement(ref)
        opening.extend(found, **checked(LastDayIn, request), actor=self.actor)
        return Response(self.shown(found))


class CloseEngagement(EngagementView):
    """It is over."""

    needs, guests = HOSTS, frozenset()

    @extend_schema(
        summary="Close an audit: guests see nothing of it any more", request=NothingIn, responses=OneEngagementShape
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Close it; what was said stays."""
        checked(NothingIn, request)
        found = self.engagement(ref)
        opening.close(found, actor=self.actor)
        return Response(self.shown(found))


class Guests(EngagementView, ListView):
    """Who is invited."""

    needs, guests = HOSTS, frozenset()
    shape = GuestShape

    @extend_schema(
        operation_id="engagement_guests_list",
        summary="Who is invited to an audit, those that were withdrawn as well",
        parameters=[*PAGE_WORDS],
        responses=page_of(GuestShape),
    )
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return one page of invitations."""
        return self.page(self.engagement(ref).guests.all())

    @extend_schema(
        summary="Invite somebody from outside; the link is mailed, and shown in this answer only",
        request=InviteIn,
        responses={201: InvitedShape},
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Invite them."""
        said = checked(InviteIn, request)
        guest, token = inviting.invite(self.engagement(ref), said["email"], said["name"], actor=self.actor)
        link = request.build_absolute_uri(reverse("invitation", args=[token]))
        made = {"guest": guest, "link": link, "mail": send_link(guest, link)}
        return Response(InvitedShape(made).data, status=201)


class WithdrawGuest(EngagementView):
    """They do not come."""

    needs, guests = HOSTS, frozenset()

    @extend_schema(summary="Take an invitation back", request=NothingIn, responses=GuestShape)
    def post(self, request: Request, ref: uuid.UUID, guest_id: int) -> Response:
        """Withdraw it: its link and its guest no longer get in."""
        checked(NothingIn, request)
        found = self.engagement(ref)
        inviting.withdraw(queries.guest_of(found, guest_id), actor=self.actor)
        return Response(GuestShape(queries.guest_of(found, guest_id)).data)


class EngagementBundles(EngagementView, ListView):
    """Bundles of an audit."""

    shape = BundleShape
    ordering = "-id"

    @extend_schema(
        operation_id="engagement_bundles_list",
        summary="Bundles that were built for an audit, the latest first",
        parameters=[*PAGE_WORDS],
        responses=BUNDLE_PAGE,
    )
    def get(self, request: Request, ref: uuid.UUID) -> Response:
        """Return one page of bundles."""
        mine = self.engagement(ref).bundles.values("bundle")
        return self.page(EvidenceBundle.objects.select_related("definition__definition").filter(pk__in=mine))

    @extend_schema(
        summary="Have a bundle built of exactly what the audit is about, or of what a definition chooses of it",
        request=EngagementBundleIn,
        responses={202: BundleShape},
    )
    def post(self, request: Request, ref: uuid.UUID) -> Response:
        """Ask for a bundle; it is built soon after."""
        chosen = checked(EngagementBundleIn, request).get("definition")
        definition = evidence_queries.definition_version(chosen) if chosen else None
        made = opening.build_bundle(self.engagement(ref), definition=definition, actor=self.actor)
        return Response(BundleShape(made).data, status=202)


class OneEngagementBundle(EngagementView):
    """One bundle of an audit."""

    @extend_schema(summary="How far a bundle of an audit is", responses=BundleShape)
    def get(self, request: Request, ref: uuid.UUID, bundle_ref: uuid.UUID) -> Response:
        """Return the bundle."""
        return Response(BundleShape(queries.bundle_of(self.engagement(ref), bundle_ref)).data)


class RetryEngagementBundle(EngagementView):
    """Once more."""

    @extend_schema(
        summary="Build a bundle of an audit that failed again", request=NothingIn, responses={202: BundleShape}
    )
    def post(self, request: Request, ref: uuid.UUID, bundle_ref: uuid.UUID) -> Response:
        """Ask for it again, with the same question."""
        checked(NothingIn, request)
        made = queries.bundle_of(self.engagement(ref), bundle_ref)
        return Response(BundleShape(evidence.retry_bundle(made, actor=self.actor)).data, status=202)


class DownloadEngagementBundle(EngagementView):
    """The file of a bundle of an audit. By POST, because it is recorded that it left the house."""

    @extend_schema(
        summary="Take the file of a bundle of an audit",
        request=NothingIn,
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def post(self, request: Request, ref: uuid.UUID, bundle_ref: uuid.UUID) -> FileResponse:
        """Hand the file out."""
        checked(NothingIn, request)
        made = queries.bundle_of(self.engagement(ref), bundle_ref)
        path = evidence.hand_out(made, actor=self.actor)
        return FileResponse(
            path.open("rb"), as_attachment=True, filename=made.suggested_name, content_type="application/zip"
        )
