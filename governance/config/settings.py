"""Django's settings, made from the checked environment. Nothing else in the project reads `os.environ`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF
from psycopg.conninfo import conninfo_to_dict

from governance.config.environment import PROJECT_DIR, SMTP_PORTS, read_environment
from governance.config.frozen import say_where_frozen_modules_are

say_where_frozen_modules_are()

ENVIRONMENT = read_environment()

BASE_DIR = PROJECT_DIR
DEBUG = ENVIRONMENT.debug
SECRET_KEY = ENVIRONMENT.session_key
ALLOWED_HOSTS = [host.strip() for host in ENVIRONMENT.allowed_hosts.split(",") if host.strip()] or (
    ["localhost", "127.0.0.1", "[::1]", ENVIRONMENT.host]
)
ROOT_URLCONF = "governance.config.urls"
WSGI_APPLICATION = "governance.config.wsgi.application"
PUBLIC_URL = ENVIRONMENT.public_url

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.forms",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "django_filters",
    "csp",
    "auditlog",
    "allauth",
    "allauth.account",
    "django_scim",
    # Both template apps by their simple config: the loaders under TEMPLATES are ours.
    "template_partials.apps.SimpleAppConfig",
    "django_cotton.apps.SimpleAppConfig",
    "governance.core",
    "governance.ledger",
    "governance.identity",
    "governance.catalog",
    "governance.provisioning",
    "governance.access",
    "governance.lifecycle",
    "governance.reviews",
    "governance.exceptions",
    "governance.evidence",
    "governance.notices",
    "governance.anchors",
    "governance.streams",
    "governance.engagements",
    "governance.privacy",
    "governance.log_reviews",
    "governance.demo",
    "governance.web",
    "governance.api",
    "scim_bridge",
    "governance.config",
]

MIDDLEWARE = [
    "scim_bridge.middleware.scim_answers",
    "django.middleware.security.SecurityMiddleware",
    "scim_bridge.shortcut.MachineDoor",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "governance.web.middleware.PageHeaders",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "governance.web.middleware.SignedIn",
]


def _database(url: str) -> dict[str, Any]:
    parts = conninfo_to_dict(url)
    # Compiling a long statement takes PostgreSQL seconds; ours run for milliseconds, many times.
    options = f"-c jit=off {parts.pop('options', '')}".strip()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname", "gatehouse"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": str(parts.pop("port", "")),
        # A new connection for each request costs five times a kept one (docs/adr/0002).
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "gatehouse", "connect_timeout": "5", "options": options, **parts},
    }


DATABASES = {"default": _database(ENVIRONMENT.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

# The field history of configuration models: our own insert-only table, values as JSON (governance/ledger/models.py).
AUDITLOG_LOGENTRY_MODEL = "ledger.ConfigurationChange"
AUDITLOG_STORE_JSON_CHANGES = True
# Its own migrations would create the table that is not used, empty and with a link to people.
MIGRATION_MODULES = {"auditlog": None}

AUTH_USER_MODEL = "identity.Person"
# auth.W004: a user name is unique among listed people (person_user_name_is_taken_once), not among those who left.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
AUTHENTICATION_BACKENDS = ["governance.web.accounts.backend.SessionBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = "user_name"
ACCOUNT_EMAIL_VERIFICATION = "none"
ALLAUTH_TRUSTED_PROXY_COUNT = ENVIRONMENT.trusted_proxy_count
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "governance.web.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "governance.web.accounts.forms.SignInForm",
    "reauthenticate": "governance.web.accounts.forms.ConfirmForm",
    "change_password": "governance.web.accounts.forms.NewPasswordForm",
}
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CSRF_FAILURE_VIEW = "governance.web.errors.csrf_failed"
ACCOUNT_SESSION_REMEMBER = False

# Shared by all processes, so that rate limits hold across workers; made by `manage.py createcachetable`.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}}

SESSION_COOKIE_AGE = int(timedelta(hours=10).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.is_production
SECURE_SSL_REDIRECT = ENVIRONMENT.is_production
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.trusted_proxy_count else None
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if ENVIRONMENT.is_production else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENVIRONMENT.is_production
SECURE_HSTS_PRELOAD = ENVIRONMENT.is_production
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https://") else []

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.data_dir / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "governance.config.static_storage.StaticFiles"},
}
#: Where finished evidence bundles are kept.
BUNDLE_DIR = ENVIRONMENT.data_dir / "bundles"

# How mails go (governance/notices/posts.py). A server that hangs costs a worker ten seconds, then waits its turn.
MAIL_WAY = ENVIRONMENT.mail_way
MAIL_DIR = ENVIRONMENT.data_dir / "mail"
DEFAULT_FROM_EMAIL = ENVIRONMENT.mail_from or "Gatehouse <gatehouse@localhost>"
EMAIL_TIMEOUT = 10

_SMTP = urlsplit(ENVIRONMENT.smtp_url.get_secret_value() if ENVIRONMENT.smtp_url else "smtp://localhost")
EMAIL_HOST = _SMTP.hostname or "localhost"
EMAIL_PORT = _SMTP.port or SMTP_PORTS[_SMTP.scheme]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_SMTP.username or ""), unquote(_SMTP.password or "")
EMAIL_USE_SSL, EMAIL_USE_TLS = _SMTP.scheme == "smtps", _SMTP.scheme == "smtp+starttls"

# The order matters: partials outside, cache in the middle, cotton first inside.
_LOADERS = [
    (
        "template_partials.loader.Loader",
        [
            (
                "django.template.loaders.cached.Loader",
                [
                    "django_cotton.cotton_loader.Loader",
                    "django.template.loaders.filesystem.Loader",
                    "django.template.loaders.app_directories.Loader",
                ],
            )
        ],
    )
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": _LOADERS,
            "builtins": [
                "django_cotton.templatetags.cotton",
                "template_partials.templatetags.partials",
                "django.templatetags.static",
                "governance.web.templatetags.gatehouse",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csrf",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.web.shell.shell",
            ],
        },
    }
]

# The SCIM door (docs/scim.md): what of django-scim2, its shell, is ours.
SCIM_SERVICE_PROVIDER = {
    "USER_ADAPTER": "scim_bridge.adapters.PersonAdapter",
    "GROUP_ADAPTER": "scim_bridge.adapters.GroupAdapter",
    "AUTH_CHECK_MIDDLEWARE": "scim_bridge.authentication.BearerCheck",
    "BASE_LOCATION_GETTER": "scim_bridge.location.base_location",
}
#: A larger SCIM body is answered 413. A group of 50,000 members, each with its name, is about 5 MB.
SCIM_MAX_BODY_BYTES = 8 * 1_048_576
#: The same for Bulk, published as its maxPayloadSize.
SCIM_MAX_BULK_BYTES = 16 * 1_048_576
#: How long exchanges wait in memory before they are written, all at once; 0 leaves it to whoever calls `flush`.
SCIM_EXCHANGES_FLUSH_SECONDS = 1.0

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "governance.api.tokens.BearerTokens",
        "governance.api.tokens.BrowserSessions",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "governance.api.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gatehouse",
    "DESCRIPTION": "Who can get in, who let them in, until when, and how do you know.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    # Fields of one name with different choices.
    "ENUM_NAME_OVERRIDES": {
        "AnchorKindEnum": "governance.anchors.models.AnchorKind",
        "DestinationKindEnum": "governance.streams.models.DestinationKind",
        "ApproverKindEnum": "governance.catalog.models.ApproverKind",
        "DutyEffectEnum": "governance.catalog.models.SodEffect",
        "RuleEffectEnum": "governance.catalog.models.RuleEffect",
        "EntitlementKindEnum": "governance.catalog.models.EntitlementKind",
        "FindingKindEnum": "governance.ledger.models.FindingKind",
        "ErasureStateEnum": "governance.privacy.models.ErasureState",
        "LogReviewStateEnum": ["running", "due", "overdue", "signed"],
        "AuditRequestStateEnum": "governance.engagements.models.RequestState",
        "RequestStateEnum": "governance.access.models.RequestState",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.log_level},
    # Its lines hold addresses with names of people in them.
    # oauthlib's debug lines hold client secrets and tokens.
    "loggers": {"httpx": {"level": "WARNING"}, "oauthlib": {"level": "WARNING"}},
}
