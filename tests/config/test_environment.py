"""The environment is refused loudly when it is wrong, and in production when it is unsafe."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from governance.config.environment import Environment, read_environment

PRODUCTION = {
    "GATEHOUSE_MODE": "production",
    "SECRET_KEY": "k" * 50,
    "FIELD_KEYS": Fernet.generate_key().decode(),
    "DATABASE_URL": "postgresql://gatehouse:long-random-text@db.example.com/gatehouse",
    "CELERY_BROKER_URL": "amqps://gatehouse:long-random-text@broker.example.com//",
    "BASE_URL": "https://gatehouse.example.com",
    "ALLOWED_HOSTS": "gatehouse.example.com",
    "LEDGER_ORIGIN": "gatehouse.example.com/ledger",
    "LEDGER_KEY_FILE": "/etc/gatehouse/ledger.key",
}
NAMES = (
    *PRODUCTION,
    "DEBUG",
    "DEMO",
    "HOST",
    "PORT",
    "WEB_WORKERS",
    "TRUSTED_PROXY_COUNT",
    "LOG_LEVEL",
    "CELERY_QUEUE",
    "SMTP_URL",
    "MAIL_FROM",
)


def _environment(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> Environment:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Environment(_env_file=None)


def test_a_complete_production_environment_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = _environment(monkeypatch, PRODUCTION)

    assert environment.is_production
    assert not environment.loads_demo


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"SECRET_KEY": None}, "SECRET_KEY is not set", id="no secret key"),
        pytest.param({"FIELD_KEYS": None}, "FIELD_KEYS is not set", id="no field key"),
        pytest.param({"DATABASE_URL": None}, "DATABASE_URL is not set", id="no database"),
        pytest.param({"CELERY_BROKER_URL": None}, "CELERY_BROKER_URL is not set", id="no broker"),
        pytest.param({"BASE_URL": None}, "BASE_URL is not set", id="no address"),
        pytest.param({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS is not set", id="no hosts"),
        pytest.param({"LEDGER_KEY_FILE": None}, "LEDGER_KEY_FILE is not set", id="no ledger key"),
        pytest.param({"LEDGER_ORIGIN": None}, "LEDGER_ORIGIN is not set", id="ledger without a name"),
        pytest.param({"DEBUG": "1"}, "DEBUG must be off", id="debug on"),
        pytest.param({"DEMO": "1"}, "DEMO must be off", id="demo people with a known password"),
        pytest.param({"BASE_URL": "http://gatehouse.example.com"}, "https://", id="no TLS"),
        pytest.param(
            {"DATABASE_URL": "postgresql://postgres:postgres@db/gatehouse"},
            "DATABASE_URL uses a default password",
            id="default database password",
        ),
        pytest.param(
            {"CELERY_BROKER_URL": "amqp://guest:guest@broker//"},
            "CELERY_BROKER_URL uses a default password",
            id="default broker password",
        ),
        pytest.param(
            {"SMTP_URL": "smtp://mail.example.com", "MAIL_FROM": "g@example.com"}, "in clear", id="mail in clear"
        ),
        pytest.param(
            {"SMTP_URL": "smtps://gatehouse:password@mail.example.com", "MAIL_FROM": "g@example.com"},
            "SMTP_URL uses a default password",
            id="default mail password",
        ),
    ],
)
def test_production_refuses_what_is_unsafe(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None], said: str
) -> None:
    values = {name: value for name, value in (PRODUCTION | change).items() if value is not None}

    with pytest.raises(ValidationError, match=said):
        _environment(monkeypatch, values)


def test_production_names_every_problem_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError) as refused:
        _environment(monkeypatch, {"GATEHOUSE_MODE": "production", "DEBUG": "1"})

    for said in ("DEBUG", "SECRET_KEY", "FIELD_KEYS", "DATABASE_URL", "CELERY_BROKER_URL", "BASE_URL", "LEDGER_ORIGIN"):
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "mysql://db/gatehouse", "postgresql://"),
        ("CELERY_BROKER_URL", "http://broker", "amqp"),
        ("SECRET_KEY", "short", "at least 32"),
        ("FIELD_KEYS", "not-a-key", "base64"),
        ("PORT", "eighty", "integer"),
        ("PORT", "70000", "65535"),
        ("DEBUG", "maybe", "boolean"),
        ("GATEHOUSE_MODE", "staging", "local"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
        ("WEB_WORKERS", "0", "greater than or equal to 1"),
        ("LEDGER_ORIGIN", "Not An Origin", "pattern"),
        ("CELERY_QUEUE", "a queue", "pattern"),
        ("SMTP_URL", "http://mail.example.com", "smtps://"),
        ("SMTP_URL", "smtps://", "name a host"),
        ("SMTP_URL", "smtps://mail.example.com", "MAIL_FROM is not set"),
        ("MAIL_FROM", "Gatehouse", "must be an address"),
    ],
)
def test_a_wrong_value_is_refused_in_every_mode(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        _environment(monkeypatch, {name: value})


def test_a_refused_start_names_the_variable_and_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://gatehouse:hidden-word@db/gatehouse")

    with pytest.raises(SystemExit) as stopped:
        read_environment()

    assert "DATABASE_URL: must start with postgresql://" in str(stopped.value)
    assert "hidden-word" not in str(stopped.value)


@pytest.mark.parametrize(
    ("change", "way"),
    [
        ({}, "none"),
        ({"SMTP_URL": "smtp://localhost", "MAIL_FROM": "Gatehouse <g@example.com>"}, "smtp"),
        ({"SMTP_URL": ""}, "none"),
    ],
    ids=["no server", "a relay on this machine", "an empty value"],
)
def test_production_sends_mail_when_it_has_a_server(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], way: str
) -> None:
    assert _environment(monkeypatch, PRODUCTION | change).mail_way == way


def test_a_trial_writes_its_mails_into_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _environment(monkeypatch, {}).mail_way == "folder"


def test_local_secrets_are_made_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = _environment(monkeypatch, {"DATA_DIR": str(tmp_path)})
    second = _environment(monkeypatch, {"DATA_DIR": str(tmp_path)})

    assert first.session_key == second.session_key
    assert first.field_key_list == second.field_key_list
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "keys").iterdir()} == {0}


def test_the_downstream_port_stays_when_the_web_port_moves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = _environment(monkeypatch, {"DATA_DIR": str(tmp_path), "PORT": "8000"})
    assert first.downstream_port == 8001

    moved = _environment(monkeypatch, {"DATA_DIR": str(tmp_path), "PORT": "9000"})

    assert moved.downstream_port == 8001
