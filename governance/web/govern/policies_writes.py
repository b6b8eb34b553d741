"""Writing a draft of a policy, looking at whom it affects, proposing it, and deciding about what others proposed."""

from __future__ import annotations

from collections.abc import Mapping
from tempfile import SpooledTemporaryFile
from typing import Any, cast

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.access import policy_changes, replay_runs
from governance.access.models import ReplayRun
from governance.access.preview import Affected, Preview, everybody, preview
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, PolicyProposal
from governance.catalog.policy_proposals import has_second_person, last_version, may_propose, proposal
from governance.catalog.policy_terms import PolicyTerms, check_terms, terms_from_json, terms_of
from governance.catalog.policy_words import Change, changes, lines
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound, Refused
from governance.identity.models import RoleName
from governance.identity.values import ATTRIBUTES, common_values
from governance.web.actor import actor_of, person_of
from governance.web.govern.exporting import IN_MEMORY, guarded, record_effect_export, write_lines
from governance.web.govern.pages import is_htmx, show
from governance.web.govern.policy_forms import USUAL, Editor
from governance.web.govern.rules_forms import OFFERED, PartForm, one_part
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
WRITERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN)


@needs(RoleName.SECURITY_ADMIN)
def new(request: HttpRequest) -> HttpResponse:
    """Write the draft of a new policy."""
    return _write(request, None)


@needs(*WRITERS)
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Write the draft of the next version of a policy."""
    found = last_version(slug)
    if found is None:
        raise NotFound(f"There is no policy called {slug}.")
    if not may_propose(person_of(request), slug):
        raise NotAllowed("Owners propose changes of policies under which every role is in their applications.")
    return _write(request, found)


@needs(*READERS)
@require_GET
def one(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Show what is proposed, against what is in force, with its effect; who may decide finds the buttons here."""
    return _show(request, proposal(proposal_id))


@needs(*READERS)
@require_GET
def effect(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Show whom a proposal affects, as of now."""
    found = proposal(proposal_id)
    base = terms_of(found.base) if found.base else None
    seen = preview(terms_from_json(found.terms), base, found.slug)
    return _part(request, found, "effect", "Whom it affects", {"preview": seen})


#: The columns of the file of everybody affected; `change` is a field of the preview.
_COLUMNS = (
    "change", "person_ref", "name", "title", "department", "role", "stage", "decided_now_by", "decided_then_by",
)  # fmt: skip


@needs(*READERS)
@require_POST
def effect_file(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Answer with everybody whom a proposal affects, as of now, as CSV, and record that it left the house."""
    found = proposal(proposal_id)
    base = terms_of(found.base) if found.base else None
    file = SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+b")  # noqa: SIM115 - the answer closes it
    lines = (_line(one) for one in everybody(terms_from_json(found.terms), base, found.slug))
    number, digest = write_lines(file, _COLUMNS, lines)
    record_effect_export(found, rows=number, digest=digest, actor=actor_of(request))
    file.seek(0)
    name = f"{found.slug}-proposal-{found.pk}-{now():%Y-%m-%dT%H%MZ}.csv"
    answer = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    return cast("HttpResponse", answer)


def _line(one: Affected) -> tuple[object, ...]:
    person = one.person
    said = map(guarded, (person.display_name, person.title, person.department, one.role))
    return (one.change, person.ref, *said, one.stage or "", guarded(one.before), guarded(one.after))


@needs(*READERS)
@require_http_methods(["GET", "POST"])
def replayed(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Show how the last 90 days would have gone under a proposal, as it was worked out last; POST: work it out anew."""
    found = proposal(proposal_id)
    if request.method == "POST":
        run = replay_runs.ask(terms_from_json(found.terms), found.slug, person=person_of(request), anew=True)
        return redirect("policy_replay", run.pk)
    latest = replay_runs.latest_of(found)
    return _part(request, found, "replay", "The last 90 days under it", _run(latest))


@needs(*READERS)
@require_GET
def replay(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show how far a replay of the last 90 days is, and what it came to."""
    run = replay_runs.one(run_id)
    proposed = PolicyProposal.objects.filter(proposed_with__run=run).select_related("proposed_by").order_by("id")
    known = AccessPolicy.objects.filter(slug=run.slug).first()
    context = {"page": "policies", "policy": known, "proposals": proposed, "lines": lines(terms_from_json(run.terms))}
    return show(request, "govern/policy_replay.html", "card", context | _run(run))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def approve(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Put what another proposed in force."""
    found = proposal(proposal_id)
    try:
        done = policy_changes.approve(
            found, decided_by=person_of(request), answer=request.POST.get("answer", ""), actor=actor_of(request)
        )
    except Refused as refusal:
        return _show(request, found, [reason.sentence for reason in refusal.reasons])
    except Invalid as error:
        return _show(request, found, [line for several in error.fields.values() for line in several])
    assert done.version is not None
    messages.success(request, f"Version {done.version.number} of {done.name} is in force from now on.")
    return redirect("policy", done.slug)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def decline(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Say no to what another proposed, with the reason."""
    found = proposal(proposal_id)
    try:
        policy_changes.decline(
            found, decided_by=person_of(request), answer=request.POST.get("answer", ""), actor=actor_of(request)
        )
    except Invalid as error:
        return _show(request, found, [line for several in error.fields.values() for line in several])
    messages.success(request, f"Declined. {found.proposed_by.display_name} sees your reason.")
    return redirect("policy_proposal", found.pk)


@needs(*WRITERS)
@require_POST
def withdraw(request: HttpRequest, proposal_id: int) -> HttpResponse:
    """Take back one's own proposal."""
    found = proposal(proposal_id)
    policy_changes.withdraw(found, person=person_of(request), actor=actor_of(request))
    messages.success(request, "Taken back. Nothing was changed.")
    return redirect("policy_proposal", found.pk)


def _run(run: ReplayRun | None) -> dict[str, Any]:
    """Return what the card of a replay needs; `replay` is what it came to, none before it is done."""
    return {"run": run, "replay": replay_runs.outcome(run) if run is not None else None}


def _part(request: HttpRequest, found: PolicyProposal, part: str, title: str, shown: Mapping[str, Any]) -> HttpResponse:
    context = {"page": "policies", "proposal": found, "part": part, "title": title, "is_part": is_htmx(request)}
    return show(request, "govern/policy_effect.html", "effect", context | dict(shown))


def _write(request: HttpRequest, base: AccessPolicyVersion | None) -> HttpResponse:
    do = request.POST.get("do", "")
    if request.method != "POST":
        return _edit(request, base, _opened(request, base))
    if "part" in request.POST:
        part, text = one_part(request.POST)
        return _edit(request, base, Editor.built(request.POST, text), part=part)
    if do.partition("-")[0] in ("add", "remove", "up", "down"):
        return _edit(request, base, Editor.rearranged(request.POST, do))
    editor = Editor.posted(request.POST)
    terms = _terms(editor)
    seen = None if terms is None else _preview(terms, base)
    fingerprint = Editor.fingerprint(request.POST)
    is_looked_at = do == "propose" and request.POST.get("shown") == fingerprint
    if terms is not None and is_looked_at and (written := _propose(request, editor, terms, base)):
        return _proposed(request, written)
    run = None
    if terms is not None and base is not None:
        run = replay_runs.ask(terms, base.policy.slug, person=person_of(request))
    return _edit(request, base, editor, terms=terms, seen=seen, run=run, fingerprint=fingerprint)


def _opened(request: HttpRequest, base: AccessPolicyVersion | None) -> Editor:
    """Return the editor of what is in force, or of what somebody proposed before (`?like=12`)."""
    like = request.GET.get("like", "")
    if like.isascii() and like.isdigit() and len(like) < 19:
        before = proposal(int(like))
        return Editor.of(before.name, terms_from_json(before.terms), before.why)
    return Editor.of("", USUAL) if base is None else Editor.of(base.policy.name, terms_of(base))


def _terms(editor: Editor) -> PolicyTerms | None:
    terms = editor.terms()
    if terms is None:
        return None
    try:
        check_terms(editor.form.cleaned_data["name"], terms)
    except Invalid as error:
        editor.refuse(error)
        return None
    return terms


def _preview(terms: PolicyTerms, base: AccessPolicyVersion | None) -> Preview:
    return preview(terms, terms_of(base) if base else None, base.policy.slug if base else "")


def _propose(
    request: HttpRequest, editor: Editor, terms: PolicyTerms, base: AccessPolicyVersion | None
) -> PolicyProposal | None:
    base_number = request.POST.get("base", "")
    try:
        return policy_changes.propose(
            editor.form.cleaned_data["name"],
            terms,
            slug=base.policy.slug if base else "",
            base_number=int(base_number) if base_number.isascii() and base_number.isdigit() else None,
            why=editor.why.cleaned_data["why"],
            proposed_by=person_of(request),
            alone=request.POST.get("alone") == "yes",
            actor=actor_of(request),
        )
    except Invalid as error:
        editor.refuse(error)
    except Refused as refusal:
        editor.refusals = [reason.sentence for reason in refusal.reasons]
    except Conflict as conflict:
        editor.refusals = [str(conflict)]
    return None


def _proposed(request: HttpRequest, written: PolicyProposal) -> HttpResponse:
    if written.is_alone:
        messages.success(request, f"{written.name} is in force. Nobody else looked at it, and the record says so.")
        return redirect("policy", written.slug)
    messages.success(request, "Proposed. It waits for a second security administrator; nothing has changed yet.")
    return redirect("policy_proposal", written.pk)


def _edit(
    request: HttpRequest,
    base: AccessPolicyVersion | None,
    editor: Editor,
    *,
    terms: PolicyTerms | None = None,
    seen: Preview | None = None,
    run: ReplayRun | None = None,
    fingerprint: str = "",
    part: PartForm | None = None,
) -> HttpResponse:
    differences: tuple[Change, ...] = changes(terms_of(base), terms) if base and terms else ()
    context = {
        "page": "policies",
        "base": base,
        "base_number": request.POST.get("base", "") or (base.number if base else ""),
        "editor": editor,
        "preview": seen,
        "changes": differences,
        "fingerprint": fingerprint,
        "part": part or PartForm(),
        "is_built": part is not None,
        "into": request.POST.get("into", "may_request"),
        "values": common_values(OFFERED),
        "attributes": ATTRIBUTES,
        "may_be_alone": base is None and seen is not None and not has_second_person(person_of(request)),
        **_run(run),
    }
    return render(request, "govern/policy_form.html", context, status=422 if editor.has_errors else 200)


def _show(request: HttpRequest, found: PolicyProposal, refusals: list[str] | None = None) -> HttpResponse:
    terms = terms_from_json(found.terms)
    base = terms_of(found.base) if found.base else None
    person, is_admin = person_of(request), standing_of(request).is_security_admin
    last = last_version(found.slug) if found.is_waiting else None
    context = {
        "page": "policies",
        "proposal": found,
        "newer": last if last is not None and last.pk != found.base_id else None,
        "base_words": f"Version {found.base.number}" if found.base else "",
        "changes": changes(base, terms) if base else (),
        "lines": lines(terms),
        "may_decide": found.is_waiting and is_admin and found.proposed_by_id != person.pk,
        "is_own": found.is_waiting and found.proposed_by_id == person.pk,
        "refusals": refusals or [],
    }
    return render(request, "govern/policy_proposal.html", context, status=422 if refusals else 200)
