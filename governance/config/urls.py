"""The doors and their addresses."""

from django.urls import URLPattern, URLResolver, include, path

from governance.api.cosignatures import cosignatures
from governance.config.health import healthz, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("scim/v2/", include("scim_bridge.urls")),
    path("scim/oauth/", include("scim_bridge.oauth_urls")),
    path("api/v1/", include("governance.api.urls")),
    path("ledger/log/cosignatures", cosignatures, name="cosignatures"),
    path("ledger/log/", include("governance.ledger.urls")),
    path("", include("governance.web.urls")),
]

handler400 = "governance.web.errors.bad_request"
handler403 = "governance.web.errors.permission_denied"
handler404 = "governance.web.errors.not_found"
handler500 = "governance.web.errors.server_error"
