"""Policies: what is in force, what was, and changing it: draft, look, propose, and a second person."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.access import policy_changes, replay_runs, requests
from governance.access.models import ReplayRun
from governance.catalog import policies
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, Application, Entitlement, PolicyProposal
from governance.catalog.policy_terms import PolicyTerms, terms_of
from governance.catalog.stages import Approvers, Stage
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.web.counts import open_work
from tests.cast import TESTING, acting, add_application, add_role, ask, hire, make_security_admin
from tests.web import stories
from tests.web.conftest import SignedIn

SECURITY = Approvers("security")
SAFE = PolicyTerms(stages=(Stage(Approvers("owner"), fallback=SECURITY),))
WHY = "Incidents take longer than four hours."
POLICY = {
    "name": "Sensitive",
    "stages": "2",
    "stage-1-kind": "manager",
    "stage-1-quorum": "1",
    "instead-1-kind": "security",
    "stage-2-kind": "owner",
    "stage-2-quorum": "1",
    "stage-2-after": "8",
    "instead-2-kind": "security",
    "reviewer-kind": "security",
    "default_duration": "4",
    "max_duration": "8",
    "purposes": "Fix an incident\nAnswer an audit",
    "auto_approve_up_to": "0",
    "lapses_after": "48",
    "extending": "one",
    "at_end": "remove",
    "warns_before": "24, 1",
    "may_shorten": "on",
    "why": WHY,
    "do": "look",
}


@pytest.fixture
def tess(db: None) -> Person:
    return make_security_admin(hire("Tess Second"))


def looked_at(client: Client, address: str, said: dict[str, str]) -> dict[str, str]:
    """Return what the page sends after it was looked at."""
    page = client.post(address, said)
    assert page.status_code == 200, page.content.decode()
    return said | {"do": "propose", "shown": page.context["fingerprint"]}


def test_a_new_policy_is_looked_at_proposed_and_put_in_force_by_another(
    sam: Person, tess: Person, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    answer = client.post("/new-policy/", looked_at(client, "/new-policy/", POLICY))

    written = PolicyProposal.objects.get()
    assert (answer.status_code, answer.url) == (302, f"/policy-proposals/{written.pk}/")
    assert not AccessPolicyVersion.objects.exists()
    signed_in(tess).post(f"/policy-proposals/{written.pk}/approve/", {"answer": "Agreed."})
    terms = terms_of(AccessPolicyVersion.objects.get(policy__slug="sensitive"))
    assert terms.route == (
        Stage(Approvers("manager"), fallback=SECURITY),
        Stage(Approvers("owner"), escalates_after=timedelta(hours=8), fallback=SECURITY),
    )
    assert (terms.extending, terms.purposes) == ("one", ("Fix an incident", "Answer an audit"))
    assert terms.warns_before == (timedelta(hours=24), timedelta(hours=1))


def test_what_was_not_looked_at_is_not_proposed(sam: Person, tess: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    said = looked_at(client, "/new-policy/", POLICY)

    page = client.post("/new-policy/", said | {"max_duration": "9"})

    assert page.status_code == 200
    assert "Whom it affects" in page.content.decode()
    assert not PolicyProposal.objects.exists()


def test_stages_are_added_moved_and_removed_without_a_script(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)

    def kinds(do: str) -> list[str]:
        page = client.post("/new-policy/", POLICY | {"do": do})
        assert page.status_code == 200
        assert 'value="Sensitive"' in page.content.decode()
        return [row.stage.initial["kind"] for row in page.context["editor"].rows]

    assert kinds("add") == ["manager", "owner", "owner"]
    assert kinds("up-2") == kinds("down-1") == ["owner", "manager"]
    assert kinds("remove-1") == ["owner"]
    assert kinds("up-1") == kinds("down-9") == kinds("remove-x") == ["manager", "owner"]
    assert not PolicyProposal.objects.exists()


def test_the_editor_opens_with_what_is_in_force_and_sends_the_same_back(
    sam: Person, ada: Person, signed_in: SignedIn
) -> None:
    people = Approvers("people", people=(str(ada.ref),))
    terms = replace(
        SAFE,
        stages=(Stage(people, escalates_after=timedelta(minutes=90), fallback=SECURITY), *SAFE.route),
        auto_deny='userType eq "Contractor"',
        refused_from=90,
        at_end="ask",
        kept_for=timedelta(hours=12),
        break_glass_up_to=timedelta(hours=2),
        break_glass_reviewer=people,
    )
    policies.save_policy("Lab", terms, actor=TESTING)
    client = signed_in(sam)
    editor = client.get("/policies/lab/change/").context["editor"]

    said = {"stages": "2", "base": "1", "do": "look", "why": WHY}
    for form in editor.forms:
        for name in form.fields:
            value = form[name].value()
            if value not in (None, "", False):
                said[form.add_prefix(name)] = "on" if value is True else str(value)
    page = client.post("/policies/lab/change/", said)

    assert page.status_code == 200
    assert page.context["changes"] == ()
    assert "It says what is in force already." in page.content.decode()


def test_the_page_shows_in_plain_words_what_changes(
    sam: Person, tess: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    policy = add_role(snowflake, "Analyst", stages=SAFE.stages).policy
    longer = replace(SAFE, max_duration=timedelta(days=60), auto_deny='userType eq "Contractor"')
    written = policy_changes.propose(policy.name, longer, slug=policy.slug, why=WHY, proposed_by=sam, actor=acting(sam))
    client = signed_in(tess)

    page = client.get(f"/policy-proposals/{written.pk}/").content.decode()
    effect = client.get(f"/policy-proposals/{written.pk}/effect/").content.decode()
    replayed = client.get(f"/policy-proposals/{written.pk}/replay/").content.decode()

    for words in ("30 days", "60 days", "Declined at once", "Approve and put in force", WHY):
        assert words in page
    assert "finds somebody to decide, at every stage" in effect
    assert "Nobody asked for one of its roles" in replayed
    for part in ("effect", "replay"):
        answer = client.get(f"/policy-proposals/{written.pk}/{part}/", headers={"HX-Request": "true"}).content.decode()
        assert answer.strip().startswith(f'<section class="part" id="{part}"')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"default_duration": "9"}, "Must lie within the longest."),
        ({"max_duration": "many"}, "Enter a number."),
        ({"max_duration": "1e300"}, "less than or equal to"),
        ({"warns_before": "1e300"}, "Write hours with commas"),
        ({"warns_before": "nan"}, "Write hours with commas"),
        ({"may_request": "department is Finance"}, ""),
        ({"auto_approve": "((("}, ""),
        ({"auto_deny": "((("}, ""),
        ({"stage-1-kind": "the boss"}, "Select a valid choice"),
        ({"stage-1-kind": "group", "stage-1-group": "No such"}, "There is no group called No such."),
        ({"stage-1-kind": "people", "stage-1-people": "no@body.example"}, "no@body.example"),
        ({"stage-1-quorum": "0"}, "greater than or equal to 1"),
        ({"purposes": ""}, "This field is required."),
        ({"name": ""}, "This field is required."),
        ({"ticket_pattern": "(a+)+"}, "Keep the pattern simple"),
        ({"warns_before": "soon"}, "Write hours with commas"),
        ({"break_glass_up_to": "48"}, "less than or equal to 24"),
        ({"at_end": "ask"}, "Say for how long it is kept"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_draft_is_refused_at_its_field(
    change: dict[str, str], said: str, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/new-policy/", POLICY | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage-1-quorum": "2"}, "there is one manager"),
        ({"stage-1-kind": "group"}, "say which group is asked"),
        ({"instead-1-kind": "manager"}, "has to be somebody else"),
    ],
)
def test_a_stage_that_cannot_be_is_refused_above_the_stages(
    change: dict[str, str], said: str, sam: Person, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/new-policy/", POLICY | change)

    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_a_draft_with_somebody_nobody_could_decide_about_has_no_button(
    sam: Person, tess: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    said = POLICY | {"base": "1", "instead-1-kind": ""}

    page = client.post(f"/policies/{analyst.policy.slug}/change/", said).content.decode()

    assert "nobody who could decide" in page
    assert "Linus Berg" in page
    assert 'value="propose"' not in page


def test_the_reason_is_needed_and_stays_in_the_form(sam: Person, tess: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    said = looked_at(client, "/new-policy/", POLICY) | {"why": "Short."}

    page = client.post("/new-policy/", said)

    assert page.status_code == 422
    assert "Write one full sentence" in page.content.decode()


def test_everybody_whom_a_proposal_affects_is_a_file(
    sam: Person, tess: Person, audrey: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    policy = add_role(snowflake, "Reader", stages=SAFE.stages).policy
    for number in range(25):
        hire(f"Crew{number:02} Member")
    evil = hire("=cmd() Evil")
    terms = replace(SAFE, may_request='not (department eq "Engineering")')
    found = policy_changes.propose(policy.name, terms, slug=policy.slug, why=WHY, proposed_by=sam, actor=acting(sam))
    client = signed_in(audrey)
    address = f"/policy-proposals/{found.pk}/file/"
    assert address in client.get(f"/policy-proposals/{found.pk}/effect/").content.decode()

    answer = client.post(address)

    file = b"".join(answer)  # type: ignore[call-overload]  # an answer that streams
    lines = list(csv.DictReader(file.decode().splitlines()))
    assert {line["change"] for line in lines} == {"no_longer"}
    assert {line["person_ref"]: line["name"] for line in lines}[str(evil.ref)] == "'=cmd() Evil"
    assert len([line for line in lines if line["name"].startswith("Crew")]) == 25
    entry = Pending.objects.order_by("-id")[0].body
    assert entry["event"] == "policy.effect_exported"
    assert entry["data"] == {
        "proposal": found.pk, "rows": len(lines), "sha256": hashlib.sha256(file).hexdigest()
    }  # fmt: skip


def test_what_affects_nobody_is_no_file(sam: Person, tess: Person, snowflake: Application, signed_in: SignedIn) -> None:
    policy = add_role(snowflake, "Reader", stages=SAFE.stages).policy
    found = policy_changes.propose(policy.name, SAFE, slug=policy.slug, why=WHY, proposed_by=sam, actor=acting(sam))

    page = signed_in(sam).get(f"/policy-proposals/{found.pk}/effect/").content.decode()

    assert "Whom it affects" in page
    assert "/file/" not in page


@pytest.mark.parametrize("into", ["may_request", "auto_deny", "auto_approve", "may_break_glass"])
def test_each_condition_is_built_from_what_the_directory_has(
    into: str, ada: Person, sam: Person, signed_in: SignedIn
) -> None:
    client, engineers = signed_in(sam), 'department eq "Engineering"'
    assert "department eq &quot;Engineering&quot;" in client.get("/new-policy/").content.decode()

    picked = client.post("/new-policy/", POLICY | {"part": engineers, "into": into}).content.decode()
    more = {"part": "built", "into": into, into: engineers, "joined": "or",
            "attribute": "title", "operator": "sw", "value": "Chief"}  # fmt: skip
    built = client.post("/new-policy/", POLICY | more).content.decode()
    empty = client.post("/new-policy/", POLICY | more | {"value": ""})

    field = rf'name="{into}"[^>]*value="%s"|value="%s"[^>]*name="{into}"'
    first = "department eq &quot;Engineering&quot;"
    both = f"{first} or title sw &quot;Chief&quot;"
    assert re.search(field % (first, first), picked)
    assert re.search(field % (both, both), built)
    assert 'value="Sensitive"' in built  # what was written stays
    assert (empty.status_code, "This field is required." in empty.content.decode()) == (200, True)
    assert not PolicyProposal.objects.exists()


def test_a_part_that_was_not_added_is_no_part_of_what_was_looked_at(
    sam: Person, tess: Person, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    said = looked_at(client, "/new-policy/", POLICY | {"into": "auto_deny", "joined": "and", "attribute": "title"})

    answer = client.post("/new-policy/", said | {"do": "propose", "into": "may_request", "value": "Chief"})

    assert (answer.status_code, PolicyProposal.objects.count()) == (302, 1)


def test_who_is_alone_says_so(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    said = looked_at(client, "/new-policy/", POLICY)

    client.post("/new-policy/", said)
    assert not AccessPolicyVersion.objects.exists()
    client.post("/new-policy/", said | {"alone": "yes", "name": "Other"})
    said = looked_at(client, "/new-policy/", POLICY | {"name": "Other"})
    client.post("/new-policy/", said | {"alone": "yes"})

    assert AccessPolicyVersion.objects.get().policy.slug == "other"
    assert "who was alone" in client.get("/policies/other/").content.decode()


def test_nobody_but_a_second_administrator_finds_the_buttons(
    sam: Person, tess: Person, audrey: Person, signed_in: SignedIn
) -> None:
    written = policy_changes.propose("Lab", SAFE, why=WHY, proposed_by=sam, actor=acting(sam))
    address = f"/policy-proposals/{written.pk}/"

    assert "Approve and put in force" in signed_in(tess).get(address).content.decode()
    for person in (sam, audrey):
        assert "Approve and put in force" not in signed_in(person).get(address).content.decode()
    assert signed_in(sam).post(f"{address}approve/").status_code == 403
    assert signed_in(tess).post(f"{address}withdraw/").status_code == 403
    assert signed_in(tess).post(f"{address}decline/", {"answer": ""}).status_code == 422
    assert signed_in(tess).post(f"{address}decline/", {"answer": "Too long."}).status_code == 302
    assert signed_in(tess).post(f"{address}approve/").status_code == 409
    assert "Too long." in signed_in(audrey).get(address).content.decode()


def test_a_proposal_for_an_older_version_says_so_and_is_opened_on_the_newer_one(
    sam: Person, tess: Person, signed_in: SignedIn
) -> None:
    policies.save_policy("Lab", SAFE, actor=TESTING)
    longer = replace(SAFE, max_duration=timedelta(days=60))
    written = policy_changes.propose("Lab", longer, slug="lab", why=WHY, proposed_by=sam, actor=acting(sam))
    policies.save_policy("Lab", replace(SAFE, requires_ticket=True), slug="lab", actor=TESTING)
    client = signed_in(tess)

    page = client.get(f"/policy-proposals/{written.pk}/").content.decode()
    editor = client.get(f"/policies/lab/change/?like={written.pk}")

    assert "Version 2 is in force meanwhile" in page
    assert editor.context["base_number"] == 2
    assert editor.context["editor"].form["max_duration"].value() == 24 * 60
    assert client.post(f"/policy-proposals/{written.pk}/approve/").status_code == 409


def test_what_waits_is_counted_for_who_may_decide_it(
    sam: Person, tess: Person, audrey: Person, signed_in: SignedIn
) -> None:
    policy_changes.propose("Lab", SAFE, why=WHY, proposed_by=sam, actor=acting(sam))
    counts = {}
    for person in (sam, tess, audrey):
        page = signed_in(person).get("/policies/")
        counts[person.display_name] = open_work(page.wsgi_request).get("policies", 0)

    assert counts == {"Sam Okoro": 0, "Tess Second": 1, "Audrey Stone": 0}


def test_an_owner_proposes_for_their_own_policies_only(
    linus: Person, snowflake: Application, analyst: Entitlement, signed_in: SignedIn
) -> None:
    own = add_role(snowflake, "Reader", stages=SAFE.stages).policy
    client = signed_in(linus)

    assert client.get(f"/policies/{own.slug}/change/").status_code == 200
    assert "Propose a change" in client.get(f"/policies/{own.slug}/").content.decode()
    add_role(add_application("GitLab"), "Guest", policy=own)
    assert client.get(f"/policies/{own.slug}/change/").status_code == 403
    assert "Propose a change" not in client.get(f"/policies/{own.slug}/").content.decode()


def test_no_page_writes_a_version_by_one_person(sam: Person, tess: Person, signed_in: SignedIn) -> None:
    policies.save_policy("Lab", SAFE, actor=TESTING)
    client = signed_in(sam)

    assert client.post("/policies/lab/", POLICY).status_code == 405
    client.post("/policies/lab/change/", looked_at(client, "/policies/lab/change/", POLICY | {"base": "1"}))

    assert AccessPolicyVersion.objects.count() == 1
    assert PolicyProposal.objects.get().is_waiting


def test_versions_stay_beside_each_other_with_what_they_changed(sam: Person, tess: Person, signed_in: SignedIn) -> None:
    policies.save_policy("Lab", SAFE, actor=TESTING)
    longer = replace(SAFE, max_duration=timedelta(days=60))
    written = policy_changes.propose("Lab", longer, slug="lab", why=WHY, proposed_by=sam, actor=acting(sam))
    policy_changes.approve(written, decided_by=tess, actor=acting(tess))

    page = signed_in(sam).get("/policies/lab/").content.decode()

    assert page.count('class="card pad version"') == 2
    for words in ("proposed by Sam Okoro, approved by Tess Second", "30 days", "60 days"):
        assert words in page


def test_an_auditor_reads_every_version_without_a_form(
    audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)

    for path in ("/policies/", "/policies/standard/"):
        page = client.get(path).content.decode()
        assert "owner of the application" in page.lower() or "Application owner" in page
        assert "Propose a change" not in page


def test_what_is_not_there_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)

    for path in ("/policies/nothing/", "/policies/nothing/change/", "/policy-proposals/99/"):
        assert client.get(path).status_code == 404


def test_hostile_words_stay_text_among_policies(
    sam: Person, tess: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    said = POLICY | {"name": f"Policy {stories.HOSTILE}", "purposes": stories.HOSTILE, "why": f"{WHY}{stories.HOSTILE}"}
    client.post("/new-policy/", looked_at(client, "/new-policy/", said))
    written = PolicyProposal.objects.get()
    pages = [client.get(path).content.decode() for path in ("/policies/", f"/policy-proposals/{written.pk}/")]
    signed_in(tess).post(f"/policy-proposals/{written.pk}/approve/")
    slug = AccessPolicy.objects.exclude(slug="standard").get().slug

    for page in (*pages, client.get(f"/policies/{slug}/").content.decode()):
        assert "<img" not in page
        assert "&amp;lt;" not in page


@pytest.mark.parametrize(
    "path", ["/policies/", "/policies/{slug}/", "/policy-proposals/{pk}/", "/policies/{slug}/change/"]
)
def test_pages_about_policies_ask_twelve_times_at_most(
    path: str, sam: Person, tess: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    policy = add_role(snowflake, "Analyst", stages=SAFE.stages).policy
    for number in range(3):
        longer = replace(SAFE, max_duration=timedelta(days=40 + number))
        written = policy_changes.propose(
            policy.name, longer, slug=policy.slug, why=WHY, proposed_by=sam, actor=acting(sam)
        )
    client = signed_in(tess)

    with CaptureQueriesContext(connection) as asked:
        assert client.get(path.format(slug=policy.slug, pk=written.pk)).status_code == 200

    assert len(asked) <= 12, [one["sql"][:90] for one in asked]


def test_the_last_90_days_are_decided_again_before_a_change_is_proposed(
    sam: Person, tess: Person, signed_in: SignedIn
) -> None:
    policies.save_policy("Lab", SAFE, actor=TESTING)

    seen = signed_in(sam).post("/policies/lab/change/", POLICY | {"base": "1", "do": "look"})

    assert seen.status_code == 200
    assert (seen.context["replay"].total, seen.context["replay"].different) == (0, 0)
    assert "The last 90 days under it" in seen.content.decode()
    assert not PolicyProposal.objects.exists()


def test_a_long_replay_shows_how_far_it_is_at_an_address_of_its_own(
    ada: Person,
    sam: Person,
    tess: Person,
    snowflake: Application,
    signed_in: SignedIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_runs, "AT_ONCE", 0)
    role = add_role(snowflake, "Analyst", stages=SAFE.stages)
    requests.submit(ada, role, ask(), actor=acting(ada))

    seen = signed_in(sam).post(f"/policies/{role.policy.slug}/change/", POLICY | {"base": "1", "do": "look"})
    run = ReplayRun.objects.get()
    here = f"/policy-replays/{run.pk}/"
    said = seen.content.decode()
    assert "0 of 1 requests decided again" in said
    assert f'hx-get="{here}" hx-trigger="every 1s"' in said
    assert f'<a class="btn sm only-noscript" href="{here}">Look again</a>' in said
    replay_runs.work()

    client = signed_in(tess)
    with CaptureQueriesContext(connection) as asked:
        page = client.get(here).content.decode()
    assert len(asked) <= 12
    assert "asked for by Sam Okoro" in page
    card = client.get(here, headers={"HX-Request": "true"}).content.decode()
    assert card.strip().startswith('<div class="parts" id="replay-run" data-region')
    assert "The last 90 days are decided again" in card
    assert "hx-trigger" not in card


def test_a_proposal_is_decided_again_as_of_now(
    sam: Person, tess: Person, snowflake: Application, signed_in: SignedIn
) -> None:
    policy = add_role(snowflake, "Analyst", stages=SAFE.stages).policy
    longer = replace(SAFE, max_duration=timedelta(days=60))
    written = policy_changes.propose(policy.name, longer, slug=policy.slug, why=WHY, proposed_by=sam, actor=acting(sam))

    answer = signed_in(tess).post(f"/policy-proposals/{written.pk}/replay/")

    run = ReplayRun.objects.latest("id")
    assert (answer.status_code, answer.url) == (302, f"/policy-replays/{run.pk}/")
    assert run.asked_by == tess
    assert ReplayRun.objects.count() == 2
