"""What Gatehouse reads from its environment: every name, type and default, checked once at the start.

A missing or wrong value stops the start with one line for each problem. In production
(`GATEHOUSE_MODE=production`) nothing insecure starts: see `Environment.production_problems`.
"""

from __future__ import annotations

import sys
from datetime import date
from email.utils import parseaddr
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from governance.config import embedded
from governance.config.database_roles import role_of_this_process

PROJECT_DIR = Path(__file__).resolve().parents[2]

#: Passwords that everybody knows. A production start with one of them is refused.
DEFAULT_PASSWORDS = frozenset({"", "admin", "changeme", "gatehouse", "guest", "password", "postgres", "root", "secret"})

#: The origin of a ledger that nobody named. Fine for a trial, refused in production.
LOCAL_LEDGER_ORIGIN = "gatehouse.local/ledger"

#: How mail servers are spoken to, with the usual port of each way.
SMTP_PORTS = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}

_NEEDED_IN_PRODUCTION = (
    "secret_key",
    "field_keys",
    "database_url",
    "celery_broker_url",
    "base_url",
    "allowed_hosts",
    "ledger_key_file",
)


class Environment(BaseSettings):
    """The environment variables of Gatehouse; also read from `.env` beside `manage.py` when it is there."""

    model_config = SettingsConfigDict(env_file=PROJECT_DIR / ".env", extra="ignore", frozen=True)

    gatehouse_mode: Literal["local", "production"] = "local"
    debug: bool = False
    demo: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    data_dir: Path = Path("var")
    database_url: SecretStr | None = None
    celery_broker_url: SecretStr | None = None
    #: The queue that carries the wake-ups. Installations that share a broker need different ones.
    celery_queue: str = Field(default="gatehouse", pattern=r"^[A-Za-z0-9_\-]+$")
    #: Signs sessions and links. At least 32 characters.
    secret_key: SecretStr | None = None
    #: Encrypts connector secrets at rest: Fernet keys, newest first, separated by commas.
    field_keys: SecretStr | None = None
    #: Where people reach Gatehouse, for links in mails and SCIM locations. Local default: http://HOST:PORT
    base_url: str | None = None
    allowed_hosts: str = ""
    #: How many proxies in front of Gatehouse append to X-Forwarded-For. Anything nearer the client is not believed.
    trusted_proxy_count: int = Field(default=0, ge=0, le=5)
    web_workers: int = Field(default=2, ge=1, le=64)
    worker_processes: int = Field(default=2, ge=1, le=64)
    #: The ledger's name in every checkpoint it signs. Must never change once entries exist.
    ledger_origin: str = Field(default=LOCAL_LEDGER_ORIGIN, pattern=r"^[a-z0-9.\-]+(/[a-z0-9.\-]+)*$")
    #: File of the ledger's signing key (Ed25519). Only the sequencer reads it. Local default: DATA_DIR/keys/ledger.key
    ledger_key_file: Path | None = None
    #: Where the sequencer remembers the last head it signed: a file it may write, not in the database's backups.
    #: Default: ledger.head beside the key.
    ledger_head_file: Path | None = None
    #: The signing keys themselves, for machines whose secrets come as variables. Wins over the file; only the
    #: sequencer's environment has it.
    ledger_key_secret: SecretStr | None = Field(default=None, validation_alias="LEDGER_KEY")
    #: The mail server: smtps:// (TLS), smtp+starttls:// or smtp:// (in clear, for a relay on this machine).
    #: Local default: mails are written to DATA_DIR/mail. Production without it: people are told on their pages only.
    smtp_url: SecretStr | None = None
    #: Who mails are from: `Gatehouse <gatehouse@example.com>`. Needed with SMTP_URL.
    mail_from: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: Where the company's working days begin and end; an emergency is reviewed within one of them.
    company_zone: str = "UTC"
    #: Days on which nobody works beside Saturdays and Sundays: ISO dates, separated by commas.
    holidays: str = ""

    @field_validator("company_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be a time zone such as Europe/Berlin")
        return value

    @field_validator("holidays")
    @classmethod
    def _are_days(cls, value: str) -> str:
        try:
            _days_of(value)
        except ValueError as error:
            raise ValueError("must be days such as 2026-12-25,2027-01-01") from error
        return value

    @property
    def holiday_dates(self) -> frozenset[date]:
        """Return the days on which nobody works beside Saturdays and Sundays."""
        return _days_of(self.holidays)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value if value.is_absolute() else (PROJECT_DIR / value).resolve()

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if urlsplit(value.get_secret_value()).scheme not in {"postgres", "postgresql"}:
            raise ValueError("must start with postgresql:// (Gatehouse runs on PostgreSQL only)")
        return value

    @field_validator("celery_broker_url")
    @classmethod
    def _is_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if urlsplit(value.get_secret_value()).scheme not in {"amqp", "amqps", "redis", "rediss", "filesystem"}:
            raise ValueError("must start with amqp(s):// (RabbitMQ) or redis(s)://")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in SMTP_PORTS or not parts.hostname:
            raise ValueError("must start with smtps://, smtp+starttls:// or smtp:// and name a host")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, value: str | None) -> str | None:
        if not value:
            return None
        _, address = parseaddr(value)
        if "@" not in address or any(ord(sign) < 32 for sign in value):
            raise ValueError("must be an address like Gatehouse <gatehouse@example.com>")
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("field_keys")
    @classmethod
    def _are_fernet_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for key in value.get_secret_value().split(",") if value else []:
            try:
                Fernet(key.strip())
            except ValueError as error:
                raise ValueError("each key must be 32 url-safe base64-encoded bytes") from error
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Environment:
        if self.smtp_url is not None and self.mail_from is None:
            raise ValueError("MAIL_FROM is not set: mails need a sender")
        problems = self.production_problems()
        if problems:
            raise ValueError("refusing to start in production: " + "; ".join(problems))
        return self

    def production_problems(self) -> list[str]:
        """Return why this must not start in production; empty in local mode."""
        if self.gatehouse_mode != "production":
            return []
        problems = []
        if self.debug:
            problems.append("DEBUG must be off")
        if self.demo and "demo" in self.model_fields_set:
            problems.append("DEMO must be off (its people share one known password)")
        problems += [f"{name.upper()} is not set" for name in _NEEDED_IN_PRODUCTION if not getattr(self, name)]
        if self.base_url and urlsplit(self.base_url).scheme != "https":
            problems.append("BASE_URL must start with https://")
        if self.smtp_url is not None and not _travels_safely(self.smtp_url):
            problems.append("SMTP_URL sends mails in clear: use smtps:// or smtp+starttls://")
        for name in ("database_url", "celery_broker_url", "smtp_url"):
            if _has_default_password(getattr(self, name)):
                problems.append(f"{name.upper()} uses a default password")
        if self.ledger_origin == LOCAL_LEDGER_ORIGIN:
            problems.append("LEDGER_ORIGIN is not set")
        return problems

    @property
    def is_production(self) -> bool:
        """Tell whether this is a production start."""
        return self.gatehouse_mode == "production"

    @property
    def loads_demo(self) -> bool:
        """Tell whether an empty database gets the demo organisation, and the demo its downstream application."""
        return self.demo and not self.is_production

    @cached_property
    def downstream_port(self) -> int:
        """Return the port of the demo's downstream SCIM application: PORT + 1 at the first start, then always that."""
        return int(embedded.kept_secret(self.data_dir, "downstream_port", lambda: str(self.port + 1)))

    @property
    def downstream_url(self) -> str:
        """Return where the demo's downstream SCIM application answers."""
        return f"http://127.0.0.1:{self.downstream_port}/v2"

    @cached_property
    def downstream_token(self) -> str:
        """Return the bearer token of the demo's downstream SCIM application."""
        return embedded.kept_secret(self.data_dir, "downstream_token", lambda: Fernet.generate_key().decode())

    @property
    def uses_embedded_database(self) -> bool:
        """Tell whether the database is the PostgreSQL from the wheel, under `data_dir`."""
        return self.database_url is None

    @property
    def uses_embedded_broker(self) -> bool:
        """Tell whether Celery runs on the filesystem, under `data_dir`."""
        return self.celery_broker_url is None

    @property
    def database(self) -> str:
        """Return the address of the database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return embedded.database_url(self.data_dir, user=role_of_this_process() or embedded.SUPERUSER)

    @property
    def long_queue(self) -> str:
        """Return the queue of the tasks that take minutes."""
        return f"{self.celery_queue}-long"

    @property
    def public_url(self) -> str:
        """Return where people reach Gatehouse, without a trailing slash."""
        return (self.base_url or f"http://{self.host}:{self.port}").rstrip("/")

    @cached_property
    def session_key(self) -> str:
        """Return the secret key; in local mode made once and kept under `data_dir`."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        return embedded.kept_secret(self.data_dir, "secret_key", lambda: Fernet.generate_key().decode())

    @cached_property
    def field_key_list(self) -> list[str]:
        """Return the Fernet keys for secrets at rest, newest first."""
        if self.field_keys is not None:
            return [key.strip() for key in self.field_keys.get_secret_value().split(",")]
        return [embedded.kept_secret(self.data_dir, "field_key", lambda: Fernet.generate_key().decode())]

    @property
    def mail_way(self) -> Literal["smtp", "folder", "none"]:
        """Return how mails go: by a server, into a folder for a newcomer to read, or not at all."""
        if self.smtp_url is not None:
            return "smtp"
        return "none" if self.is_production else "folder"

    @property
    def ledger_key_text(self) -> str | None:
        """Return the ledger's signing keys when they came as a variable."""
        return self.ledger_key_secret.get_secret_value() if self.ledger_key_secret else None

    @property
    def ledger_key(self) -> Path:
        """Return the file of the ledger's signing key."""
        return self.ledger_key_file or self.data_dir / "keys" / "ledger.key"

    @property
    def ledger_head(self) -> Path:
        """Return the file in which the sequencer remembers the last head that it signed."""
        return self.ledger_head_file or self.ledger_key.with_name("ledger.head")


def _travels_safely(smtp_url: SecretStr) -> bool:
    parts = urlsplit(smtp_url.get_secret_value())
    return parts.scheme != "smtp" or parts.hostname in {"localhost", "127.0.0.1", "::1"}


def _has_default_password(address: SecretStr | None) -> bool:
    password = urlsplit(address.get_secret_value()).password if address else None
    return password is not None and password.lower() in DEFAULT_PASSWORDS


def _days_of(text: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(day.strip()) for day in text.split(",") if day.strip())


def read_environment() -> Environment:
    """Return the checked environment, or stop the process with one line for each problem."""
    try:
        return Environment()
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']).upper() or 'environment'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        sys.exit("Gatehouse cannot start with this environment:\n" + "\n".join(lines))
