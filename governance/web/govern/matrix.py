"""The access matrix page and its export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from governance.access import matrix as access
from governance.catalog.models import DataClass
from governance.identity.models import RoleName
from governance.web.actor import actor_of
from governance.web.govern.cells import row_of
from governance.web.govern.completeness import completeness
from governance.web.govern.exporting import guarded, record_export
from governance.web.govern.filters import NO_DEPARTMENT, MatrixForm
from governance.web.govern.pages import show, whole_number
from governance.web.govern.reach import reach_of
from governance.web.kinds import KINDS
from governance.web.roles import needs

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@needs(*READERS)
@require_GET
def matrix(request: HttpRequest) -> HttpResponse:
    """Show who can reach what, people by applications."""
    form = MatrixForm(request.GET)
    question = _question(request, form)
    found = access.matrix(
        question,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
        column_page=whole_number(request.GET.get("columns"), 1),
    )
    names = {column.id: column for column in found.columns}
    context = {
        "page": "matrix",
        "form": form,
        "question": question,
        "matrix": found,
        "orphans": [row_of(row, names, question) for row in found.orphans],
        "groups": [
            (department, [row_of(row, names, question) for row in rows])
            for department, rows in groupby(found.people, key=lambda row: row.department)
        ],
        "completeness": completeness(reach_of(request).applications, question.at),
        "departments": sorted({*found.counts.departments, question.department or ""} - {""}),
        "legend": [
            (kind, word, said, found.counts.by_kind.get(kind, 0) if found.counts.is_counted else None)
            for kind, (word, _, said) in KINDS.items()
        ],
        "data_classes": DataClass.choices,
        "chosen": form.read("type") or [],
        "column_page": min(max(whole_number(request.GET.get("columns"), 1), 1), found.column_pages),
        "no_department": NO_DEPARTMENT,
    }
    return show(request, "govern/matrix.html", "grid", context)


@needs(*READERS)
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Answer with every row under the filters as CSV, and record that it left the house."""
    form = MatrixForm(request.POST)
    question = _question(request, form)
    columns, rows = access.everything(question)
    lines = list(_lines(columns, rows))
    record_export(question, rows=len(lines), actor=actor_of(request))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(lines)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="access-{question.at:%Y-%m-%dT%H%MZ}.csv"'
    return response


HEADER = (
    "person_ref", "name", "title", "department", "application", "role", "kind", "powerful", "risk",
    "since", "until", "source",
)  # fmt: skip


def _lines(columns: list[access.Column], rows: list[access.Row]) -> Iterator[tuple[str, ...]]:
    names = {column.id: column.name for column in columns}
    for row in rows:
        for application_id, found in row.access.items():
            for one in found:
                yield (
                    row.ref,
                    guarded(row.name),
                    guarded(row.title),
                    guarded(row.department),
                    guarded(names.get(application_id, "")),
                    guarded(one.role),
                    one.kind,
                    "yes" if one.is_privileged else "no",
                    str(one.risk),
                    one.starts_at.isoformat(),
                    one.ends_at.isoformat() if one.ends_at else "",
                    f"{one.source}:{one.source_id}",
                )


def _question(request: HttpRequest, form: MatrixForm) -> access.Question:
    at, is_past = form.moment()
    department = form.read("dept") or None
    return access.Question(
        at=at,
        is_past=is_past,
        applications=reach_of(request).applications,
        kinds=form.read("type") or (),
        department="" if department == NO_DEPARTMENT else department,
        data_class=form.read("data") or "",
        text=(form.read("q") or "").strip(),
    )
