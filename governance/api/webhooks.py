"""Webhooks: other systems that are told what people are told. For security administrators."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, StrictSerializer, page_of
from governance.api.shapes import NothingIn
from governance.core.errors import NotFound
from governance.identity.models import RoleName
from governance.notices import webhooks
from governance.notices.kinds import KINDS
from governance.notices.models import Webhook, WebhookMessage

_ADMIN = frozenset({RoleName.SECURITY_ADMIN.value})


class WebhookShape(serializers.ModelSerializer[Webhook]):
    """A webhook. Its secret was in the answer that made it, and nowhere else."""

    class Meta:
        model = Webhook
        fields = ["id", "name", "url", "kinds", "created_at", "paused_at", "former_until"]


class MessageShape(serializers.ModelSerializer[WebhookMessage]):
    """One message: what it said, and what became of it."""

    class Meta:
        model = WebhookMessage
        fields = [
            "id",
            "ref",
            "kind",
            "body",
            "state",
            "attempts",
            "created_at",
            "next_attempt_at",
            "settled_at",
            "status",
            "last_error",
        ]


class WebhookIn(StrictSerializer):
    """A new webhook; no kinds: everything."""

    name = serializers.CharField(max_length=80)
    url = serializers.CharField(max_length=500)
    kinds = serializers.ListField(child=serializers.ChoiceField(sorted(KINDS)), default=list)


class WebhookChangeIn(StrictSerializer):
    """What changes of a webhook."""

    name = serializers.CharField(max_length=80, required=False)
    url = serializers.CharField(max_length=500, required=False)
    kinds = serializers.ListField(child=serializers.ChoiceField(sorted(KINDS)), required=False)
    is_paused = serializers.BooleanField(required=False)


class Webhooks(ListView):
    """Webhooks."""

    needs = reads = _ADMIN
    shape = WebhookShape

    @extend_schema(
        operation_id="webhooks_list",
        summary="Webhooks that are not ended",
        parameters=list(PAGE_WORDS),
        responses=page_of(WebhookShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of webhooks."""
        return self.page(Webhook.objects.filter(ended_at__isnull=True))

    @extend_schema(
        summary="Add a webhook; the answer holds its secret, once",
        request=WebhookIn,
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Add a webhook and return it with its secret."""
        said = WebhookIn(data=request.data)
        said.is_valid(raise_exception=True)
        made, secret = webhooks.add(**said.validated_data, actor=self.actor)
        return Response({**WebhookShape(made).data, "secret": secret}, status=201)


class OneWebhook(DoorView):
    """One webhook."""

    needs = reads = _ADMIN

    @extend_schema(summary="One webhook", responses=WebhookShape)
    def get(self, request: Request, hook_id: int) -> Response:
        """Return a webhook."""
        return Response(WebhookShape(_hook(hook_id)).data)

    @extend_schema(summary="Change or pause a webhook", request=WebhookChangeIn, responses=WebhookShape)
    def patch(self, request: Request, hook_id: int) -> Response:
        """Keep what changes."""
        hook = _hook(hook_id)
        said = WebhookChangeIn(data=request.data)
        said.is_valid(raise_exception=True)
        known: dict[str, Any] = {
            "name": hook.name,
            "url": hook.url,
            "kinds": hook.kinds,
            "is_paused": hook.paused_at is not None,
        }
        return Response(WebhookShape(webhooks.change(hook, **{**known, **said.validated_data}, actor=self.actor)).data)

    @extend_schema(summary="Tell a webhook nothing more", responses={204: None})
    def delete(self, request: Request, hook_id: int) -> Response:
        """End a webhook."""
        webhooks.end(_hook(hook_id), actor=self.actor)
        return Response(status=204)


class WebhookTest(DoorView):
    """A test of a webhook."""

    needs = _ADMIN

    @extend_schema(summary="Send a test", request=NothingIn, responses={202: MessageShape})
    def post(self, request: Request, hook_id: int) -> Response:
        """Have a message sent that says it is a test."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        sent = webhooks.send_test(_hook(hook_id), actor=self.actor)
        return Response(MessageShape(sent).data, status=202)


class WebhookSecret(DoorView):
    """A new secret of a webhook."""

    needs = _ADMIN

    @extend_schema(
        summary="Make a new secret, used at once; the one before signs as well until `former_until`",
        request=NothingIn,
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request, hook_id: int) -> Response:
        """Return a new secret, once."""
        NothingIn(data=request.data).is_valid(raise_exception=True)
        secret = webhooks.renew_secret(_hook(hook_id), actor=self.actor)
        return Response({"secret": secret, "former_until": _hook(hook_id).former_until})

    @extend_schema(summary="Sign with the new secret only from now on", responses={204: None})
    def delete(self, request: Request, hook_id: int) -> Response:
        """End the secret before, as when it became known to others."""
        webhooks.end_former_secret(_hook(hook_id), actor=self.actor)
        return Response(status=204)


class WebhookMessages(ListView):
    """What a webhook was sent."""

    needs = reads = _ADMIN
    shape = MessageShape
    ordering = "-id"

    @extend_schema(
        operation_id="webhook_messages_list",
        summary="What a webhook was sent, the latest first",
        parameters=list(PAGE_WORDS),
        responses=page_of(MessageShape),
    )
    def get(self, request: Request, hook_id: int) -> Response:
        """Return one page of messages."""
        return self.page(WebhookMessage.objects.filter(webhook=_hook(hook_id)))


def _hook(hook_id: int) -> Webhook:
    found = Webhook.objects.filter(pk=hook_id, ended_at__isnull=True).first()
    if found is None:
        raise NotFound("There is no such webhook.")
    return found
