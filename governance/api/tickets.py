"""Ticket systems: where the tickets named in requests are looked up."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import StrictSerializer
from governance.api.requests import _read
from governance.api.shapes import NothingIn
from governance.core.errors import NotFound
from governance.identity.models import RoleName
from governance.provisioning.models import TicketSystem, WhenSilent
from governance.provisioning.ticket_systems import TicketTerms, retire_ticket_system, save_ticket_system

_ADMIN = frozenset({RoleName.SECURITY_ADMIN.value})


class TicketSystemShape(serializers.ModelSerializer[TicketSystem]):
    """A ticket system. Its secret is never shown."""

    class Meta:
        model = TicketSystem
        fields = [
            "slug",
            "name",
            "pattern",
            "url_template",
            "header_name",
            "json_path",
            "good_values",
            "when_silent",
            "timeout_seconds",
            "version",
            "retired_at",
        ]


class TicketSystemIn(StrictSerializer):
    """A ticket system as it comes in; without `secret` the present one is kept."""

    name = serializers.CharField(max_length=120)
    pattern = serializers.CharField(max_length=200)
    url_template = serializers.CharField(max_length=500)
    header_name = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    secret = serializers.CharField(max_length=4000, required=False, allow_blank=True, allow_null=True, default=None)
    json_path = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    good_values = serializers.ListField(
        child=serializers.CharField(max_length=120), required=False, default=list, max_length=50
    )
    when_silent = serializers.ChoiceField(choices=WhenSilent.choices, default=WhenSilent.REFUSE.value)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=20, default=5)


class TicketSystems(DoorView):
    """Ticket systems."""

    needs = reads = _ADMIN

    @extend_schema(summary="Ticket systems, by name", responses=TicketSystemShape(many=True))
    def get(self, request: Request) -> Response:
        """Return them all; there are few."""
        return Response(TicketSystemShape(TicketSystem.objects.order_by("name", "pk"), many=True).data)

    @extend_schema(summary="Add a ticket system", request=TicketSystemIn, responses={201: TicketSystemShape})
    def post(self, request: Request) -> Response:
        """Have tickets of this form looked up there."""
        return Response(TicketSystemShape(_saved(self, request, "")).data, status=201)


class OneTicketSystem(DoorView):
    """One ticket system."""

    needs = reads = _ADMIN

    @extend_schema(summary="One ticket system", responses=TicketSystemShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return it."""
        found = TicketSystem.objects.filter(slug=slug).first()
        if found is None:
            raise NotFound(f"There is no ticket system called {slug}.")
        return Response(TicketSystemShape(found).data)

    @extend_schema(summary="Change a ticket system", request=TicketSystemIn, responses=TicketSystemShape)
    def put(self, request: Request, slug: str) -> Response:
        """Say how tickets are looked up from now on."""
        return Response(TicketSystemShape(_saved(self, request, slug)).data)


class RetireTicketSystem(DoorView):
    """No longer."""

    needs = _ADMIN

    @extend_schema(summary="Look no ticket up there any more", request=NothingIn, responses=TicketSystemShape)
    def post(self, request: Request, slug: str) -> Response:
        """Retire the ticket system."""
        _read(NothingIn, request)
        return Response(TicketSystemShape(retire_ticket_system(slug, actor=self.actor)).data)


def _saved(view: DoorView, request: Request, slug: str) -> TicketSystem:
    said = _read(TicketSystemIn, request)
    secret = said.pop("secret")
    return save_ticket_system(TicketTerms(**said), slug=slug, secret=secret, actor=view.actor)
