"""Places that keep heads of the ledger, and what each gave. Auditors read, security administrators change."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.anchors import actions, queries
from governance.anchors.models import Anchor, AnchorKind, AnchorReceipt
from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import NothingIn
from governance.identity.models import RoleName

_ADMIN = frozenset({RoleName.SECURITY_ADMIN.value})
_READERS = _ADMIN | {RoleName.AUDITOR.value}


class AnchorShape(serializers.ModelSerializer[Anchor]):
    """An anchor. Its secret is never shown."""

    class Meta:
        model = Anchor
        fields = [
            "ref",
            "kind",
            "name",
            "settings",
            "every_seconds",
            "created_at",
            "paused_at",
            "last_size",
            "last_at",
            "trouble_since",
            "last_error",
            "next_at",
        ]


class ReceiptShape(serializers.ModelSerializer[AnchorReceipt]):
    """A head that is kept there, and what shows it."""

    class Meta:
        model = AnchorReceipt
        fields = ["id", "size", "note", "said", "proof", "at"]


class AnchorIn(StrictSerializer):
    """A new anchor; what `settings` needs depends on the kind."""

    kind = serializers.ChoiceField(AnchorKind.choices)
    name = serializers.CharField(max_length=80)
    settings = serializers.DictField(child=serializers.CharField(max_length=20_000, allow_blank=True))
    secret = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    every_seconds = serializers.IntegerField(required=False, allow_null=True, default=None)


class AnchorChangeIn(StrictSerializer):
    """What changes of an anchor. `settings` replaces all of them."""

    name = serializers.CharField(max_length=80, required=False)
    settings = serializers.DictField(child=serializers.CharField(max_length=20_000, allow_blank=True), required=False)
    secret = serializers.CharField(max_length=500, required=False, allow_blank=True)
    every_seconds = serializers.IntegerField(required=False, allow_null=True)
    is_paused = serializers.BooleanField(required=False)


class Anchors(ListView):
    """Anchors."""

    needs = _ADMIN
    reads = _READERS
    shape = AnchorShape

    @extend_schema(
        operation_id="anchors_list",
        summary="Places that keep heads of the ledger, without those that were ended",
        parameters=list(PAGE_WORDS),
        responses=page_of(AnchorShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of anchors."""
        return self.page(Anchor.objects.filter(ended_at__isnull=True))

    @extend_schema(
        summary="Add a place; it gets the first head at once", request=AnchorIn, responses={201: AnchorShape}
    )
    def post(self, request: Request) -> Response:
        """Add an anchor."""
        said = AnchorIn(data=request.data)
        said.is_valid(raise_exception=True)
        wanted = dict(said.validated_data)
        made = actions.add(wanted.pop("kind"), actions.Wanted(**wanted), actor=self.actor)
        return Response(AnchorShape(made).data, status=201)


class OneAnchor(DoorView):
    """One anchor."""

    needs = _ADMIN
    reads = _READERS

    @extend_schema(summary="One place", responses=AnchorShape)
    def get(self, request: Request, ref: UUID) -> Response:
        """Return an anchor."""
        return Response(AnchorShape(queries.by_ref(ref)).data)

    @extend_schema(summary="Change or pause a place", request=AnchorChangeIn, responses=AnchorShape)
    def patch(self, request: Request, ref: UUID) -> Response:
        """Keep what changes."""
        anchor = queries.by_ref(ref)
        said = AnchorChangeIn(data=request.data)
        said.is_valid(raise_exception=True)
        known = {
            "name": anchor.name,
            "settings": anchor.settings,
            "every_seconds": anchor.every_seconds,
            "is_paused": anchor.paused_at is not None,
        }
        wanted = actions.Wanted(**{**known, **said.validated_data})
        return Response(AnchorShape(actions.change(anchor, wanted, actor=self.actor)).data)

    @extend_schema(summary="Send nothing there any more", responses={204: None})
    def delete(self, request: Request, ref: UUID) -> Response:
        """End an anchor."""
        actions.end(queries.by_ref(ref), actor=self.actor)
        return Response(status=204)


class AnchorNow(DoorView):
    """The newest head, now."""

    needs = _ADMIN

    @extend_schema(summary="Have it keep the newest head now", request=NothingIn, responses={202: AnchorShape})
    def post(self, request: Request, ref: UUID) -> Response:
        """Have an anchor keep the newest head as soon as a worker comes to it."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        actions.keep_now(queries.by_ref(ref), actor=self.actor)
        return Response(AnchorShape(queries.by_ref(ref)).data, status=202)


class AnchorReceipts(ListView):
    """What an anchor gave."""

    needs = _ADMIN
    reads = _READERS
    shape = ReceiptShape
    ordering = "-id"

    @extend_schema(
        operation_id="anchor_receipts_list",
        summary="What a place gave for each head, the latest first",
        parameters=list(PAGE_WORDS),
        responses=page_of(ReceiptShape),
    )
    def get(self, request: Request, ref: UUID) -> Response:
        """Return one page of receipts."""
        return self.page(AnchorReceipt.objects.filter(anchor=queries.by_ref(ref)))
