"""The key file and the commands around it, and the sequencer as the process it is."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from governance.ledger import queries
from governance.ledger.keys import KeyExists, create_key_file, read_key_file
from governance.ledger.models import Entry, Pending
from governance.ledger.notes import BadKey, Signer
from governance.ledger.standalone import parse_verifier_key
from governance.ledger.verification import Request, verify

ORIGIN = "example.com/ledger"


def test_the_key_file_is_for_its_owner_alone_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ledger.key"

    made = create_key_file(path, ORIGIN)

    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert read_key_file(path, ORIGIN).verifier_key == made.verifier_key
    assert list(path.parent.iterdir()) == [path]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.key"
    made = create_key_file(path, ORIGIN)

    with pytest.raises(KeyExists):
        create_key_file(path, ORIGIN)

    assert read_key_file(path, ORIGIN).verifier_key == made.verifier_key
    assert list(tmp_path.iterdir()) == [path]


def test_two_who_start_together_make_one_key(tmp_path: Path) -> None:
    path = tmp_path / "ledger.key"

    def make(_: int) -> bool:
        try:
            create_key_file(path, ORIGIN)
        except KeyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1
    read_key_file(path, ORIGIN)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o640, 0o444, 0o420, 0o401])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "ledger.key"
    create_key_file(path, ORIGIN)
    path.chmod(mode)

    with pytest.raises(BadKey, match="0400"):
        read_key_file(path, ORIGIN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "no signing key", id="missing"),
        pytest.param("", "not a signing key", id="empty"),
        pytest.param("PRIVATE+KEY+example.com/ledger+00000000+AAAA", "damaged", id="damaged"),
        pytest.param(Signer.generate("other.example/ledger").private_text(), "not of example", id="another log"),
    ],
)
def test_what_is_not_the_key_of_this_log_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "ledger.key"
    if text is not None:
        path.touch(0o600)
        path.write_text(text)

    with pytest.raises(BadKey, match=said):
        read_key_file(path, ORIGIN)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key file of its own for the commands of this test; its path."""
    path = tmp_path / "ledger.key"
    monkeypatch.setattr(
        settings,
        "ENVIRONMENT",
        settings.ENVIRONMENT.model_copy(update={"ledger_key_file": path, "ledger_origin": ORIGIN}),
    )
    return path


def test_the_key_command_prints_the_public_key_alone(environment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("ledger_key", "create")
    created = capsys.readouterr()
    call_command("ledger_key", "show")
    shown = capsys.readouterr()

    assert created.out == shown.out == read_key_file(environment, ORIGIN).verifier_key + "\n"
    assert parse_verifier_key(shown.out).fingerprint in shown.err
    assert environment.read_text().strip() not in created.out + created.err
    with pytest.raises(CommandError, match="never overwritten"):
        call_command("ledger_key", "create")


@pytest.mark.django_db
def test_once_seals_all_there_is(
    environment: Path, note: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    create_key_file(environment, ORIGIN)
    for number in range(3):
        note(number)

    call_command("ledger_sequencer", "--once")
    call_command("ledger_sequencer", "--once")

    assert capsys.readouterr().out == "4 entries sealed.\n0 entries sealed.\n"


@pytest.mark.django_db
@pytest.mark.usefixtures("environment")
def test_without_a_key_nothing_is_sealed_and_the_remedy_is_said(note: Callable[[int], None]) -> None:
    note(1)

    with pytest.raises(CommandError, match=r"manage\.py ledger_key create"):
        call_command("ledger_sequencer", "--once")

    assert Pending.objects.exists()


@pytest.fixture
def sequencer(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start `manage.py ledger_sequencer` on the database of this test."""
    path = tmp_path / "ledger.key"
    create_key_file(path, ORIGIN)
    database = connection.settings_dict
    wanted = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    query = urlencode({name: database[key] for name, key in wanted.items() if database[key]})
    url = f"postgresql:///{database['NAME']}?{query}"
    environment = {**os.environ, "DATABASE_URL": url, "LEDGER_KEY_FILE": str(path), "LEDGER_ORIGIN": ORIGIN}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "ledger_sequencer"]
        started.append(subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        if process.stderr:
            process.stderr.close()


def eventually(holds: Callable[[], bool], seconds: float = 40.0) -> float:
    """Return after how many seconds it held."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, "it did not come to hold in time"
        time.sleep(0.02)
    return time.monotonic() - start


@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_the_process_seals_within_two_seconds_and_stops_when_told(
    sequencer: Callable[[], subprocess.Popen[bytes]], note: Callable[[int], None]
) -> None:
    process = sequencer()
    eventually(Entry.objects.exists)
    delays = []
    for number in range(4):
        note(number)
        delays.append(eventually(lambda: not Pending.objects.exists()))

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert statistics.median(delays) < 2  # A busy machine may take longer once.
    assert verify(Request(is_strict=True)).size == 5


@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_killing_sequencers_under_load_loses_nothing(
    sequencer: Callable[[], subprocess.Popen[bytes]], note: Callable[[int], None]
) -> None:
    first, second = sequencer(), sequencer()
    eventually(Entry.objects.exists)

    for number in range(150):
        note(number)
        if number == 50:
            first.kill()
        if number == 100:
            second.kill()
            third = sequencer()
    eventually(lambda: not Pending.objects.exists())

    third.send_signal(signal.SIGTERM)
    assert third.wait(10) == 0
    assert [entry.data["number"] for entry in queries.entries(event="thing", limit=500).entries] == list(
        range(149, -1, -1)
    )
    assert verify(Request(is_strict=True)).size == 151
