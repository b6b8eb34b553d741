"""The addresses of the pages. Each part keeps its own list."""

from django.urls import URLPattern, URLResolver, include, path

from governance.web import kit, shell_views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("governance.web.accounts.urls")),
    path("", include("governance.web.my_work.urls")),
    path("", include("governance.web.govern.urls")),
    path("", include("governance.web.assure.urls")),
    path("", include("governance.web.notices.urls")),
    path("settings/", shell_views.settings_page, name="settings"),
    path("settings/theme/", shell_views.theme, name="theme"),
    path("settings/keys/", shell_views.keys, name="keys"),
    path("search/", shell_views.search_page, name="search"),
    path("kit/", kit.kit, name="kit"),
    path("kit/job/", kit.job, name="kit_job"),
]
