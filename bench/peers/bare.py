"""The limit for Django on PostgreSQL: plain views, one SELECT, INSERT or UPDATE each, no SCIM semantics, no audit.

Whoever serves SCIM on this stack and keeps history does more; the distance to this is what that costs.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from typing import Any

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PEER_DATABASE"],
            "USER": "postgres",
            "HOST": os.environ["PEER_DATABASE_HOST"],
            "CONN_MAX_AGE": 600,
            "CONN_HEALTH_CHECKS": True,
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

_COMPARISON = re.compile(r'(userName|externalId) eq "([^"]*)"')
_COLUMNS = {"userName": "user_name", "externalId": "external_id"}


class User(models.Model):
    """A row for each user."""

    scim_id = models.UUIDField(default=uuid.uuid4, unique=True)
    user_name = models.CharField(max_length=320, unique=True)
    external_id = models.CharField(max_length=320, db_index=True)
    given_name = models.CharField(max_length=160)
    family_name = models.CharField(max_length=160)
    email = models.CharField(max_length=320)
    active = models.BooleanField(default=True)

    class Meta:
        app_label = "bare"


class Group(models.Model):
    """A row for each group."""

    scim_id = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=320)

    class Meta:
        app_label = "bare"


class Member(models.Model):
    """A user is in a group."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE)
    user = models.ForeignKey(User, on_delete=models.CASCADE)

    class Meta:
        app_label = "bare"
        unique_together = [("group", "user")]


def users(request: HttpRequest) -> HttpResponse:
    """Insert one, or select one by a filter, or a page (count and OFFSET)."""
    if request.method == "POST":
        return JsonResponse(_document(_inserted(json.loads(request.body))), status=201)
    if condition := request.GET.get("filter"):
        found = _COMPARISON.fullmatch(condition)
        if found is None:
            return HttpResponse(status=400)
        chosen = list(User.objects.filter(**{_COLUMNS[found[1]]: found[2]}))
        return JsonResponse({"totalResults": len(chosen), "Resources": [_document(user) for user in chosen]})
    start, count = int(request.GET["startIndex"]) - 1, int(request.GET["count"])
    page = User.objects.order_by("id")[start : start + count]
    return JsonResponse({"totalResults": User.objects.count(), "Resources": [_document(user) for user in page]})


def user(request: HttpRequest, scim_id: uuid.UUID) -> HttpResponse:
    """Select one, or update one."""
    if request.method == "PATCH":
        (operation,) = json.loads(request.body)["Operations"]
        column = {"active": "active", "name.familyName": "family_name"}[operation["path"]]
        User.objects.filter(scim_id=scim_id).update(**{column: operation["value"]})
    return JsonResponse(_document(User.objects.get(scim_id=scim_id)))


def groups(request: HttpRequest) -> HttpResponse:
    """Insert one."""
    group = Group.objects.create(name=json.loads(request.body)["displayName"])
    return JsonResponse({"id": str(group.scim_id)}, status=201)


def group(request: HttpRequest, scim_id: uuid.UUID) -> HttpResponse:
    """Insert or delete members."""
    (operation,) = json.loads(request.body)["Operations"]
    found = Group.objects.get(scim_id=scim_id)
    ids = [member["value"] for member in operation["value"]]
    if operation["op"] == "add":
        chosen = User.objects.filter(scim_id__in=ids).values_list("id", flat=True)
        Member.objects.bulk_create([Member(group=found, user_id=id_) for id_ in chosen], ignore_conflicts=True)
    else:
        Member.objects.filter(group=found, user__scim_id__in=ids).delete()
    return HttpResponse(status=204)


def _inserted(body: dict[str, Any]) -> User:
    return User.objects.create(
        user_name=body["userName"],
        external_id=body["externalId"],
        given_name=body["name"]["givenName"],
        family_name=body["name"]["familyName"],
        email=body["emails"][0]["value"],
    )


def _document(user: User) -> dict[str, Any]:
    return {
        "id": str(user.scim_id),
        "userName": user.user_name,
        "externalId": user.external_id,
        "name": {"givenName": user.given_name, "familyName": user.family_name},
        "emails": [{"value": user.email, "type": "work", "primary": True}],
        "active": user.active,
    }


urlpatterns = [
    path("scim/v2/Users", users),
    path("scim/v2/Users/<uuid:scim_id>", user),
    path("scim/v2/Groups", groups),
    path("scim/v2/Groups/<uuid:scim_id>", group),
]
application = get_wsgi_application()


def make_tables() -> None:
    """Create the tables."""
    with connection.schema_editor() as editor:
        for model in (User, Group, Member):
            editor.create_model(model)


if __name__ == "__main__":
    make_tables()
