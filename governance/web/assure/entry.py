"""One entry of the ledger: what it says, what its transaction did besides, its proof, and who keeps a head over it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from governance.anchors.queries import receipts_over
from governance.core.errors import Gone
from governance.identity.models import RoleName
from governance.ledger import queries
from governance.ledger.queries import SealedEntry
from governance.ledger.reading_log import note_opened
from governance.ledger.recording import Subject
from governance.web.actor import actor_of
from governance.web.assure.keys import signing_key
from governance.web.govern.lines import Line, Names, line_of, names_for
from governance.web.roles import needs

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: How many other entries of the same transaction are spelled out here; the rest is one link away.
SHOWN_BESIDE = 20
#: Kind of subject → the page that shows it, where its reference is what the address wants.
_PAGES = {
    "person": "person",
    "request": "request",
    "grant": "why",
    "break_glass": "break_glass",
    "bundle": "bundle",
    "finding": "finding",
    "hold": "hold",
    "package": "package",
    "policy": "policy",
    "rule": "rule",
    "sod_rule": "duty_rule",
    "anchor": "anchor",
    "stream": "stream",
}
_WORDS = {"entitlement": "role", "sod_rule": "rule about duties", "sod_exception": "exception"}


@dataclass(frozen=True, slots=True)
class About:
    """One thing that an entry is about: its name, and the page that shows it, where there is one."""

    kind: str
    ref: str
    name: str
    href: str

    @property
    def word(self) -> str:
        """Return what such a thing is called on pages."""
        return _WORDS.get(self.kind) or self.kind.replace("_", " ")


@dataclass(frozen=True, slots=True)
class CapturedRow:
    """One row that a statement changed: its key, and for each column what it was and what it became."""

    key: str
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Another entry of the same transaction; `rows` when it is of captured rows."""

    line: Line
    table: str
    rows: tuple[CapturedRow, ...]


@needs(*READERS)
@require_GET
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """Show one entry with its body, what it commits to, what happened with it, its proof and its anchors."""
    try:
        found, others, has_more = queries.entry_and_beside(index, SHOWN_BESIDE)
    except Gone:
        return _disposed(request, index)
    said = found.entry
    note_opened(index, actor=actor_of(request))
    names = names_for([said, *others])
    context = {
        "page": "ledger",
        "proven": found,
        "entry": said,
        "line": line_of(said, names),
        "subjects": [_about(one, names) for one in said.subjects],
        "rows": captured_rows(said),
        "beside": [Beside(line_of(one, names), _table(one), captured_rows(one)) for one in others],
        "has_more_beside": has_more,
        "private": queries.disclosed([index])[index] if said.private else {},
        "data": json.dumps(said.data, ensure_ascii=False, indent=2, sort_keys=True),
        "leaf_hash": base64.b64encode(said.leaf_hash).decode(),
        "path": [base64.b64encode(one).decode() for one in found.path],
        "receipts": receipts_over(index),
        "head": found.head,
        "root": base64.b64encode(found.head.root).decode(),
        **signing_key(found.head),
    }
    return render(request, "assure/entry.html", context)


def _disposed(request: HttpRequest, index: int) -> HttpResponse:
    """Show what is left of an entry whose text was disposed of."""
    found = queries.disposed_entry(index)
    note_opened(index, actor=actor_of(request))
    context = {
        "page": "ledger",
        "found": found,
        "leaf_hash": base64.b64encode(found.leaf_hash).decode(),
        "root": base64.b64encode(found.head.root).decode(),
        "receipts": receipts_over(index),
    }
    return render(request, "assure/entry_disposed.html", context)


@needs(*READERS)
@require_GET
def proof(request: HttpRequest, index: int) -> HttpResponse:
    """Answer with the proof of one entry as a file that verifies offline."""
    found = queries.entry(index)
    note_opened(index, actor=actor_of(request), as_file=True)
    response = HttpResponse(found.proof_file, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="entry-{index}.tlog-proof"'
    return response


def captured_rows(entry: SealedEntry) -> tuple[CapturedRow, ...]:
    """Return the rows of an entry `rows.…`, else nothing. Personal values stay the commitments that they are."""
    if not entry.event.startswith("rows."):
        return ()
    return tuple(_captured(row) for row in entry.data.get("rows", ()))


def _captured(row: dict[str, dict[str, object]]) -> CapturedRow:
    old, new = row.get("old") or {}, row.get("new") or {}
    names = sorted({*old, *new})
    return CapturedRow(
        str(row.get("key", "")),
        tuple((name, _spelled(old, name), _spelled(new, name)) for name in names),
    )


def _spelled(values: dict[str, object], name: str) -> str:
    """Return a value as it is read: a commitment is said to be one, a missing value is nothing."""
    if name not in values:
        return ""
    value = values[name]
    if isinstance(value, dict) and set(value) == {"key", "sha256"}:
        return f"kept secret ({str(value['sha256'])[:8]}…)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(entry: SealedEntry) -> str:
    return str(entry.data.get("table", "")) if entry.event.startswith("rows.") else ""


def _about(subject: Subject, names: Names) -> About:
    return About(subject.kind, subject.ref, names.of(subject.kind, subject.ref), _page(subject, names))


def _page(subject: Subject, names: Names) -> str:
    """Return the address of the page about it, or nothing when it has none."""
    name = "application" if subject.kind == "application" else _PAGES.get(subject.kind)
    reference = names.slugs.get(subject.ref) if subject.kind == "application" else subject.ref
    try:
        return reverse(name, args=[reference]) if name and reference else ""
    except NoReverseMatch:
        return ""
