"""The addresses of what people are told, and of how it reaches them."""

from django.urls import URLPattern, URLResolver, path

from governance.web.notices import inbox

urlpatterns: list[URLPattern | URLResolver] = [
    path("notices/", inbox.notices, name="notices"),
    path("notices/read/", inbox.read_all, name="notices_read"),
    path("notices/<int:notice_id>/read/", inbox.read, name="notice_read"),
]
