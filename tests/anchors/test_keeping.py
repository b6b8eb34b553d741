"""Heads go out of the house by every way, each to a real peer; what fails is tried again and said."""

from __future__ import annotations

import base64
import email
import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction

from governance.anchors import actions, keeping, queries
from governance.anchors.actions import Wanted
from governance.anchors.models import Anchor, AnchorReceipt
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.ledger.models import Entry, Pending
from governance.ledger.queries import latest_checkpoint
from tests.anchors.conftest import TESTING, Log, serving

pytestmark = pytest.mark.django_db


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def the_head() -> str:
    head = latest_checkpoint()
    assert head is not None
    return head.note


def size() -> int:
    return int(the_head().splitlines()[1])


def events() -> list[str]:
    """Return what was recorded, sealed or not."""
    waiting = [body["event"] for body in Pending.objects.order_by("id").values_list("body", flat=True)]
    return [*Entry.objects.order_by("index").values_list("event", flat=True), *waiting]


def due(anchor: Anchor) -> Anchor:
    """Have its turn come."""
    Anchor.objects.filter(pk=anchor.pk).update(next_at=now())
    anchor.refresh_from_db()
    return anchor


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody else's repository."""
    folder = tmp_path / "elsewhere.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "--initial-branch", "main")
    return folder


def add_git(repository: Path, **more: object) -> Anchor:
    return actions.add("git", Wanted("Elsewhere", {"url": f"file://{repository}"}, **more), actor=TESTING)  # type: ignore[arg-type]


def test_each_head_becomes_a_commit_in_somebody_elses_repository(log: Log, repository: Path) -> None:
    anchor = add_git(repository)

    assert keeping.keep_due() == 1
    log.grow()
    due(anchor)
    assert keeping.keep_due() == 1

    receipt = queries.receipts(anchor)[0]
    assert git(repository, "show", "main:checkpoint") + "\n" == the_head() == receipt.note
    assert git(repository, "rev-parse", "main") == receipt.said["commit"]
    assert git(repository, "log", "--format=%s", "main").splitlines() == [
        f"Head of {size()} entries",
        "Head of 6 entries",
    ]
    assert git(repository, "show", "main:heads/000000000006.txt").startswith("anchors.test/ledger\n6\n")
    log.grow()
    anchored = Entry.objects.filter(event="checkpoint.anchored").latest("index")
    assert json.loads(anchored.body)["data"]["receipt"]["commit"] == receipt.said["commit"]


def test_a_head_that_is_kept_already_is_not_brought_again(log: Log, repository: Path) -> None:
    anchor = add_git(repository)
    keeping.keep_due()
    log.grow()
    due(anchor)
    keeping.keep_due()
    size = due(anchor).last_size
    Anchor.objects.filter(pk=anchor.pk).update(last_size=size + 10)

    assert keeping.keep_due() == 0
    assert AnchorReceipt.objects.count() == 2
    anchor.refresh_from_db()
    assert (anchor.claimed_until, anchor.next_at > now()) == (None, True)


def test_a_repository_whose_history_was_replaced_is_not_forced(log: Log, repository: Path, tmp_path: Path) -> None:
    """What others put there stays; ours goes on top of it, and the old commits of ours are theirs to explain."""
    anchor = add_git(repository)
    keeping.keep_due()
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(other))
    (other / "theirs").write_text("theirs")
    git(other, "add", "theirs")
    git(other, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "--quiet", "-m", "theirs")
    git(other, "push", "--quiet", "--force", str(repository), "main")
    log.grow()
    due(anchor)

    assert keeping.keep_due() == 1
    assert git(repository, "log", "--format=%s", "main").splitlines() == [f"Head of {size()} entries", "theirs"]
    assert git(repository, "show", "main:theirs") == "theirs"


def test_what_fails_is_tried_later_said_once_in_the_ledger_and_shown(log: Log, repository: Path) -> None:
    anchor = add_git(repository / "nowhere")

    for _ in range(3):
        assert keeping.keep_due() == 0
        due(anchor)

    assert events().count("checkpoint.anchor_failed") == 1
    assert anchor.failures_in_a_row == 3
    assert anchor.last_error.startswith("git ls-remote failed")
    actions.change(anchor, Wanted("Elsewhere", {"url": f"file://{repository}"}), actor=TESTING)
    assert keeping.keep_due() == 1
    anchor.refresh_from_db()
    assert (anchor.failures_in_a_row, anchor.trouble_since, anchor.last_error) == (0, None, "")


def test_a_worker_that_was_killed_gives_the_anchor_back_when_its_claim_ends(log: Log, repository: Path) -> None:
    anchor = add_git(repository)
    Anchor.objects.filter(pk=anchor.pk).update(claimed_until=now() + timedelta(minutes=1))
    assert keeping.keep_due() == 0

    Anchor.objects.filter(pk=anchor.pk).update(claimed_until=now() - timedelta(seconds=1))

    assert keeping.keep_due() == 1


def test_a_head_goes_by_mail_as_an_attachment(log: Log, tmp_path: Path, settings: pytest.FixtureRequest) -> None:
    settings.MAIL_WAY, settings.MAIL_DIR = "folder", tmp_path / "mail"  # type: ignore[attr-defined]
    anchor = actions.add("mail", Wanted("Auditor", {"to": "a@audit.example\nb@audit.example"}), actor=TESTING)

    assert keeping.keep_due() == 1

    [file] = (tmp_path / "mail").glob("*.eml")
    message = email.message_from_bytes(file.read_bytes())
    [attached] = [part for part in message.walk() if part.get_filename()]
    assert attached.get_payload(decode=True) == the_head().encode()  # type: ignore[comparison-overlap]
    assert message["Message-ID"] == queries.receipts(anchor)[0].said["message_id"]
    assert message["To"] == "a@audit.example, b@audit.example"


def test_without_a_mail_server_it_says_so(log: Log, settings: pytest.FixtureRequest) -> None:
    settings.MAIL_WAY = "none"  # type: ignore[attr-defined]
    anchor = actions.add("mail", Wanted("Auditor", {"to": "a@audit.example"}), actor=TESTING)

    keeping.keep_due()

    anchor.refresh_from_db()
    assert anchor.last_error == "There is no mail server: set SMTP_URL."


class Store:
    """What speaks S3 and locks, when the bucket was made so."""

    def __init__(self, *, locks: bool = True) -> None:
        self.locks = locks
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.authorizations: list[str] = []

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.authorizations.append(request.headers.get("Authorization", ""))
        if "Credential=KEYID/" not in self.authorizations[-1]:
            return 403, {}, b"<Error><Code>InvalidAccessKeyId</Code></Error>"
        if request.command == "PUT":
            locked = {name.lower(): value for name, value in request.headers.items() if "object-lock" in name.lower()}
            self.objects[request.path] = (body, locked if self.locks else {})
            return 200, {"x-amz-version-id": "v1"}, b""
        content, headers = self.objects[request.path]
        return 200, headers, content


@pytest.fixture
def store() -> Iterator[tuple[Store, str]]:
    served = Store()
    with serving(served.answer) as url:
        yield served, url


def add_store(url: str, **more: str) -> Anchor:
    said = {"endpoint": url, "bucket": "evidence", "prefix": "ledger", "key_id": "KEYID", **more}
    return actions.add("object_lock", Wanted("Locked", said, "very secret"), actor=TESTING)


def test_a_head_is_stored_under_a_lock_that_is_read_back(log: Log, store: tuple[Store, str]) -> None:
    served, url = store
    anchor = add_store(url, days="30")

    assert keeping.keep_due() == 1

    [(path, (content, lock))] = served.objects.items()
    assert path == "/evidence/ledger/anchors.test/ledger/000000000006.checkpoint"
    assert content == the_head().encode()
    assert lock["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert f"{now() + timedelta(days=30):%Y-%m-%d}" == lock["x-amz-object-lock-retain-until-date"][:10]
    assert queries.receipts(anchor)[0].said["version"] == "v1"
    assert all(said.startswith("AWS4-HMAC-SHA256 ") and "very secret" not in said for said in served.authorizations)


def test_a_store_that_does_not_lock_is_not_believed(log: Log, store: tuple[Store, str]) -> None:
    served, url = store
    served.locks = False
    anchor = add_store(url)

    assert keeping.keep_due() == 0

    anchor.refresh_from_db()
    assert "not locked" in anchor.last_error
    assert not AnchorReceipt.objects.exists()


def test_a_store_that_refuses_the_key_is_named_with_its_answer(log: Log, store: tuple[Store, str]) -> None:
    anchor = add_store(store[1], key_id="WRONG")

    keeping.keep_due()

    anchor.refresh_from_db()
    assert anchor.last_error.startswith("The store answered 403 to PUT")
    assert "very secret" not in anchor.last_error


_TSA = """
[tsa]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Authority:
    """A timestamp authority of our own: OpenSSL behind a small server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tsa.cnf").write_text(_TSA.format(folder=folder))
        (folder / "serial").write_text("01")
        self._run("ecparam -name prime256v1 -genkey -noout -out ca.key")
        self._run("req -new -x509 -key ca.key -subj /CN=Root -days 30 -extensions ca -config tsa.cnf -out ca.pem")
        self._run("ecparam -name prime256v1 -genkey -noout -out tsa.key")
        self._run("req -new -key tsa.key -subj /CN=Stamp -config tsa.cnf -out tsa.csr")
        self._run(
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 30"
            " -extfile tsa.cnf -extensions leaf -out tsa.pem"
        )

    def _run(self, command: str) -> None:
        config = self.folder / "tsa.cnf"
        text = config.read_text()
        if "[req]" not in text:
            config.write_text("[req]\ndistinguished_name = dn\n[dn]\n" + text)
        subprocess.run(["openssl", *command.split()], cwd=self.folder, check=True, capture_output=True)

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        (self.folder / "query").write_bytes(body)
        self._run("ts -reply -config tsa.cnf -section tsa -queryfile query -out reply")
        return 200, {"Content-Type": "application/timestamp-reply"}, (self.folder / "reply").read_bytes()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def test_an_authority_stamps_a_head_and_openssl_agrees(log: Log, authority: Authority, tmp_path: Path) -> None:
    roots = (authority.folder / "ca.pem").read_text()
    with serving(authority.answer) as url:
        anchor = actions.add("timestamp", Wanted("Time", {"url": url, "roots": roots}), actor=TESTING)
        assert keeping.keep_due() == 1, Anchor.objects.get().last_error

    receipt = queries.receipts(anchor)[0]
    (authority.folder / "head").write_text(receipt.note)
    (authority.folder / "token").write_bytes(base64.b64decode(receipt.proof))
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", "head", "-in", "token", "-CAfile", "ca.pem"],
        cwd=authority.folder,
        capture_output=True,
        text=True,
    )
    assert "Verification: OK" in done.stdout + done.stderr
    assert receipt.said["stated_time"][:13] == f"{now():%Y-%m-%dT%H}"


def test_a_token_of_somebody_else_is_not_believed(log: Log, authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    roots = (Authority(other).folder / "ca.pem").read_text()
    with serving(authority.answer) as url:
        anchor = actions.add("timestamp", Wanted("Time", {"url": url, "roots": roots}), actor=TESTING)
        assert keeping.keep_due() == 0

    anchor.refresh_from_db()
    assert anchor.last_error.startswith("The authority's token does not hold")


@pytest.mark.parametrize(
    ("kind", "said", "field"),
    [
        ("git", {"url": "ext::sh -c id"}, "url"),
        ("git", {"url": "--upload-pack=id"}, "url"),
        ("git", {"url": ""}, "url"),
        ("git", {"url": "https://git.example/x", "branch": "--force"}, "branch"),
        ("mail", {"to": "nobody"}, "to"),
        ("mail", {"to": "a@b.example\n" * 2 + "\n".join(f"{n}@b.example" for n in range(30))}, "to"),
        ("object_lock", {"endpoint": "ftp://x", "bucket": "abc", "key_id": "k"}, "endpoint"),
        ("object_lock", {"endpoint": "https://s3.example", "bucket": "a/b", "key_id": "k"}, "bucket"),
        ("object_lock", {"endpoint": "https://s3.example", "bucket": "abc", "key_id": "k", "days": "0"}, "days"),
        ("object_lock", {"endpoint": "https://s3.example", "bucket": "abc", "key_id": "k"}, "key"),
        ("timestamp", {"url": "https://tsa.example", "roots": "none"}, "roots"),
        ("witness", {"verifier_key": "a+b+c"}, "verifier_key"),
        ("pigeon", {}, "kind"),
    ],
)
def test_bad_settings_are_refused_by_field(kind: str, said: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        actions.add(kind, Wanted("X", said), actor=TESTING)

    assert field in refused.value.fields
    assert not Anchor.objects.exists()


def test_an_anchor_is_late_after_three_missed_turns_and_not_while_it_is_paused(log: Log, repository: Path) -> None:
    anchor = add_git(repository, every_seconds=600)
    Anchor.objects.filter(pk=anchor.pk).update(created_at=now() - timedelta(minutes=61))
    assert [one.pk for one in queries.freshness().late] == [anchor.pk]

    keeping.keep_due()
    assert queries.freshness().is_fine

    Anchor.objects.filter(pk=anchor.pk).update(last_at=now() - timedelta(minutes=61))
    assert not queries.freshness().is_fine
    anchor.refresh_from_db()
    actions.change(anchor, Wanted("Elsewhere", anchor.settings, is_paused=True, every_seconds=600), actor=TESTING)
    assert queries.freshness().is_fine
    assert keeping.keep_due() == 0


def test_an_ended_anchor_gets_nothing_and_loses_its_secret(log: Log, store: tuple[Store, str]) -> None:
    anchor = add_store(store[1])
    keeping.keep_due()

    actions.end(anchor, actor=TESTING)
    actions.end(anchor, actor=TESTING)

    log.grow()
    assert keeping.keep_due() == 0
    anchor.refresh_from_db()
    assert anchor.secret_encrypted == ""
    assert events().count("anchor.ended") == 1
    with pytest.raises(Conflict):
        actions.keep_now(anchor, actor=TESTING)
    add_store(store[1])


def test_receipts_cannot_be_changed(log: Log, repository: Path) -> None:
    add_git(repository)
    keeping.keep_due()

    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic():
        AnchorReceipt.objects.update(size=1)


def test_the_earliest_receipt_over_an_entry_is_found_for_each_anchor(log: Log, repository: Path) -> None:
    anchor = add_git(repository)
    keeping.keep_due()
    log.grow()
    due(anchor)
    keeping.keep_due()

    assert [one.size for one in queries.receipts_over(5)] == [6]
    assert [one.size for one in queries.receipts_over(6)] == [size()]
    assert queries.receipts_over(size()) == []


def test_settings_hold_what_the_kind_knows_and_nothing_else(log: Log) -> None:
    said = {"to": " a@audit.example ", "url": "https://elsewhere.example"}
    anchor = actions.add("mail", Wanted(" Auditor ", said), actor=TESTING)

    assert (anchor.name, anchor.settings) == ("Auditor", {"to": "a@audit.example"})
    with pytest.raises(Invalid, match="Another anchor"):
        actions.add("mail", Wanted("Auditor", said), actor=TESTING)
    assert settings.ENVIRONMENT.data_dir
