"""Stock django-scim2 as its documentation sets it up, over Django's own user model."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_scim", "peers.stock"],
    MIDDLEWARE=[f"{__name__}.signed_in"],
    AUTH_USER_MODEL="stock.User",
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
    SCIM_SERVICE_PROVIDER={
        "NETLOC": "localhost",
        "AUTHENTICATION_SCHEMES": [{"type": "oauthbearertoken", "name": "token", "description": "A token."}],
        "GROUP_MODEL": "peers.stock.models.Group",
    },
)
django.setup()

from django.contrib.auth.models import Group as AuthGroup  # noqa: E402
from django.contrib.auth.models import Permission  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402

from peers.stock.models import Group, User  # noqa: E402

_ANYBODY = SimpleNamespace(is_anonymous=False, is_authenticated=True)


def signed_in(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return a middleware that lets everybody in, so that no authentication is measured."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.user = _ANYBODY
        return get_response(request)

    return middleware


urlpatterns = [path("scim/v2/", include("django_scim.urls"))]
application = get_wsgi_application()


def make_tables() -> None:
    """Create the tables."""
    with connection.schema_editor() as editor:
        for model in (ContentType, Permission, AuthGroup, Group, User):
            editor.create_model(model)


if __name__ == "__main__":
    make_tables()
