"""Birthright rules: what is in force, what was, and writing the next version after a look at what it does."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.access import birthright, rule_parking, rule_runs, suggestions
from governance.access.models import Grant, RuleSuggestion
from governance.catalog import rules
from governance.catalog.models import BirthrightRule, BirthrightRuleVersion, Entitlement, RuleEffect, SodEffect
from governance.catalog.rules import RuleTerms
from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.values import equals
from governance.ledger.models import Pending
from tests import cast
from tests.duties import forbid
from tests.web import stories
from tests.web.conftest import SignedIn

ENGINEERS = 'department eq "Engineering"'


def rule(*roles: Entitlement, **said: Any) -> dict[str, Any]:
    """Return what the form sends for a rule about engineers."""
    usual = {
        "name": "Engineers",
        "effect": "give",
        "condition": ENGINEERS,
        "entitlements": [one.pk for one in roles],
        "priority": "100",
        "grace_days": "0",
    }
    return usual | said


def look(client: Client, path: str, said: dict[str, Any]) -> str:
    answer = client.post(path, said | {"do": "look"})
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def seen(page: str) -> str:
    return re.findall(r'name="seen" value="([^"]+)"', page)[0]


def save(client: Client, path: str, said: dict[str, Any]) -> Any:
    """Look, then save what was looked at, and have the workers do their part."""
    page = look(client, path, said)
    answer = client.post(path, said | {"do": "save", "seen": seen(page)})
    rule_runs.work()
    return answer


def holders(role: Entitlement) -> list[str]:
    held = Grant.objects.filter(entitlement=role, ends_at__gt=now()).values_list("person__display_name", flat=True)
    return sorted(held)


def test_a_rule_gives_to_everybody_it_applies_to(
    ada: Person, mallory: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    answer = save(signed_in(sam), "/new-rule/", rule(analyst))

    assert (answer.status_code, answer.url) == (302, "/rules/engineers/")
    assert holders(analyst) == ["Ada Lovelace", "Grace Hopper"]


def test_every_term_of_the_form_is_kept(ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    said = rule(analyst, except_condition='title sw "Intern"', except_people=f"{ada.email}\n", priority="20",
                grace_days="14", effect="keep_away", starts_on="2099-05-01")  # fmt: skip

    save(signed_in(sam), "/new-rule/", said)

    version = BirthrightRuleVersion.objects.get()
    assert (version.except_condition, version.except_person_ids) == ('title sw "Intern"', [ada.pk])
    assert (version.priority, version.grace, version.effect) == (20, timedelta(days=14), RuleEffect.KEEP_AWAY)
    assert version.effective_at.year == 2099
    page = signed_in(sam).get("/rules/engineers/").content.decode()
    assert "It begins" in page
    assert "Ada Lovelace" in page


def test_the_next_version_takes_away_what_only_the_old_one_gave(
    ada: Person, mallory: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    save(client, "/new-rule/", rule(analyst))

    page = look(client, "/rules/engineers/change/", rule(analyst, condition='department eq "Marketing"'))
    assert "1 person gets a role, 2 lose one at once" in page
    for name in ("Mallory Grey", "Ada Lovelace", "Grace Hopper"):
        assert name in page

    save(client, "/rules/engineers/change/", rule(analyst, condition='department eq "Marketing"'))
    assert holders(analyst) == ["Mallory Grey"]
    assert "applies to 1 person now" in client.get("/rules/engineers/").content.decode()


def test_nothing_is_saved_that_was_not_looked_at(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    page = look(client, "/new-rule/", rule(analyst))

    for said in (rule(analyst), rule(analyst, grace_days="5") | {"seen": seen(page)}):
        answer = client.post("/new-rule/", said | {"do": "save"})
        assert answer.status_code == 409
        assert "You changed the rule after you looked" in answer.content.decode()

    assert not BirthrightRule.objects.exists()


def test_saving_says_so_when_the_people_changed_since_the_look(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    page = look(client, "/new-rule/", rule(analyst))
    cast.hire("Alan Kay")

    answer = client.post("/new-rule/", rule(analyst) | {"do": "save", "seen": seen(page)})

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "The people it affects changed since you looked" in text
    assert "Alan Kay" in text
    assert not BirthrightRule.objects.exists()
    assert client.post("/new-rule/", rule(analyst) | {"do": "save", "seen": seen(text)}).status_code == 302


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"condition": "department eq"}, ""),
        ({"condition": ""}, "This field is required."),
        ({"entitlements": []}, "Choose at least one role."),
        ({"except_condition": "((("}, ""),
        ({"except_people": "nobody@halden.example"}, "nobody@halden.example"),
        ({"priority": "0"}, ""),
        ({"grace_days": "91"}, ""),
        ({"starts_on": "2020-01-01"}, "This day is over."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_rule_is_refused_at_its_field(
    change: dict[str, object], said: str, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    answer = signed_in(sam).post("/new-rule/", rule(analyst) | change | {"do": "save"})

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not BirthrightRule.objects.exists()


def test_a_name_that_is_taken_is_refused_at_the_name(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    save(client, "/new-rule/", rule(analyst))

    answer = save(client, "/new-rule/", rule(analyst))

    assert answer.status_code == 422
    assert "There is a rule called Engineers" in answer.content.decode()


def test_a_condition_is_built_from_what_the_directory_has(
    ada: Person, mallory: Person, sam: Person, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    offered = client.get("/new-rule/").content.decode()
    assert "department eq &quot;Engineering&quot;" in offered

    picked = client.post("/new-rule/", {"condition": "", "part": ENGINEERS}).content.decode()
    assert "department eq &quot;Engineering&quot;</textarea>" in picked

    built = {"condition": ENGINEERS, "part": "built", "joined": "or", "attribute": "title", "operator": "sw"}
    page = client.post("/new-rule/", built | {"value": 'Chief "x"'}).content.decode()
    assert "department eq &quot;Engineering&quot; or title sw &quot;Chief \\&quot;x\\&quot;&quot;</textarea>" in page

    mixed = {"condition": 'a eq "1" or b eq "2"', "part": ENGINEERS, "joined": "and"}
    page = client.post("/new-rule/", mixed).content.decode()
    assert "(a eq &quot;1&quot; or b eq &quot;2&quot;) and department" in page


def test_a_part_without_a_value_is_asked_for_again(sam: Person, signed_in: SignedIn) -> None:
    built = {"condition": ENGINEERS, "part": "built", "joined": "and", "attribute": "title", "operator": "eq"}

    page = signed_in(sam).post("/new-rule/", built | {"value": ""}).content.decode()

    assert "This field is required." in page
    assert "department eq &quot;Engineering&quot;</textarea>" in page


def test_everybody_affected_is_listed_by_name_and_as_a_file(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    cast.hire("=cmd() Evil")
    words = urlencode(rule(analyst), doseq=True)

    page = client.get(f"/new-rule/affected/?{words}&kind=adds").content.decode()
    assert "Ada Lovelace" in page
    assert "Analyst in Snowflake" in page

    file = client.post(f"/new-rule/affected/?{words}")
    lines = file.content.decode().splitlines()
    assert lines[0] == "change,person_ref,name,title,department,roles"
    assert sorted(line.split(",")[2] for line in lines[1:]) == ["'=cmd() Evil", "Ada Lovelace", "Grace Hopper"]
    assert Pending.objects.order_by("-id").first().body["event"] == "rule.preview_exported"  # type: ignore[union-attr]


def test_a_long_list_is_paged_by_name(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client, found = signed_in(sam), []
    for number in range(60):
        cast.hire(f"Crew{number:02} Member")
    address = f"/new-rule/affected/?{urlencode(rule(analyst), doseq=True)}&kind=adds"

    while address:
        page = client.get(address).content.decode()
        found += re.findall(r">(Crew\d\d) Member</a>", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = f"/new-rule/affected/{following[1].replace('&amp;', '&')}" if following else ""

    assert found == [f"Crew{number:02}" for number in range(60)]


def test_retiring_shows_whom_it_takes_from_first(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    save(client, "/new-rule/", rule(analyst))

    page = client.get("/rules/engineers/retire/").content.decode()
    assert "Ada Lovelace" in page
    assert client.post("/rules/engineers/retire/", {"seen": "x:y"}).status_code == 409
    assert holders(analyst) == ["Ada Lovelace", "Grace Hopper"]

    assert client.post("/rules/engineers/retire/", {"seen": seen(page)}).status_code == 302
    rule_runs.work()
    assert holders(analyst) == []
    assert "Retired" in client.get("/rules/engineers/").content.decode()
    assert client.get("/rules/engineers/change/").status_code == 409


def test_the_page_shows_how_far_a_rule_is_applied(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    rule_runs.change_rule(RuleTerms("Engineers", ENGINEERS, [analyst]), actor=cast.TESTING)

    waiting = client.get("/rules/engineers/", headers={"HX-Request": "true"}).content.decode()
    assert "Being applied" in waiting
    assert 'hx-trigger="load delay:1s"' in waiting

    rule_runs.work()
    done = client.get("/rules/engineers/", headers={"HX-Request": "true"}).content.decode()
    assert "2 people were looked at: 2 roles given, 0 taken." in done
    assert "hx-trigger" not in done


def test_who_keeps_a_role_for_the_grace_is_shown_with_the_day(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    save(client, "/new-rule/", rule(analyst, grace_days="7"))

    cast.move(ada, department="Finance")

    page = client.get("/rules/engineers/").content.decode()
    assert page.count("Kept until") == 1
    assert page.count("While it applies") == 1


def test_rules_are_listed_in_the_order_in_which_they_decide(
    sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    for name, place in (("Late", 200), ("Early", 5), ("Usual", 100)):
        rules.save_rule(RuleTerms(name, "active eq true", [analyst], priority=place), actor=cast.TESTING)

    page = signed_in(sam).get("/rules/").content.decode()

    assert re.findall(r'rowlink" href="/rules/(\w+)/"', page) == ["early", "usual", "late"]


def test_what_colleagues_have_in_common_is_suggested_and_opens_the_form(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    crew = [cast.hire(f"Crew{number} Member", department="Finance") for number in range(6)]
    for one in crew[:5]:
        stories.give(one, analyst)
    suggestions.look()
    client = signed_in(sam)

    page = client.get("/rule-suggestions/").content.decode()
    assert "Department Finance" in page
    assert "5 of 6, 83 %" in page
    assert "Department Finance" not in client.get("/rule-suggestions/?share=90").content.decode()

    suggestion = RuleSuggestion.objects.get(attribute="department", value="Finance")
    outliers = client.get(f"/rule-suggestions/{suggestion.pk}/").content.decode()
    assert "Crew5 Member" in outliers
    assert "Crew4 Member" not in outliers

    (form,) = re.findall(r'<a class="btn sm" href="(/new-rule/[^"]+Finance[^"]+)"', page)
    looked = client.get(form.replace("&amp;", "&")).content.decode()
    assert "1 person gets a role" in looked
    assert "Crew5 Member" in looked
    assert not BirthrightRule.objects.exists()


@pytest.mark.parametrize("path", ["/new-rule/", "/rules/engineers/change/", "/rules/engineers/retire/"])
@pytest.mark.parametrize("who", ["ada", "linus", "audrey"])
def test_only_administrators_write_rules(
    who: str, path: str, request: pytest.FixtureRequest, analyst: Entitlement, signed_in: SignedIn
) -> None:
    rules.save_birthright_rule("Engineers", ENGINEERS, [analyst], actor=cast.TESTING)

    answer = signed_in(request.getfixturevalue(who)).post(path, rule(analyst, condition="active eq true"))

    assert answer.status_code == 403
    assert BirthrightRuleVersion.objects.count() == 1


def test_a_rule_that_is_not_there_is_not_found(sam: Person, signed_in: SignedIn) -> None:
    assert signed_in(sam).get("/rules/nothing/").status_code == 404
    assert signed_in(sam).get("/rule-suggestions/4711/").status_code == 404


def test_hostile_words_stay_text_among_rules(sam: Person, analyst: Entitlement, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    cast.hire(stories.HOSTILE, user_name="hostile@halden.example", title=stories.HOSTILE)
    said = rule(analyst, name=f"Rule {stories.HOSTILE}", condition=equals("title", stories.HOSTILE))
    save(client, "/new-rule/", said)
    slug = BirthrightRule.objects.get().slug

    for path in ("/rules/", f"/rules/{slug}/", f"/rules/{slug}/change/", f"/rules/{slug}/retire/", "/new-rule/"):
        page = client.get(path).content.decode()
        assert "<img" not in page, path
        assert "&amp;lt;" not in page, path


def test_the_pages_stay_within_twelve_statements(
    ada: Person, sam: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    for number in range(4):
        said = RuleTerms(f"Engineers {number}", ENGINEERS, [analyst], except_people=[sam], grace=timedelta(days=2))
        rules.save_rule(said, actor=cast.TESTING)
    birthright.apply([ada.pk], at=now(), actor=cast.TESTING)
    suggestions.look()
    client = signed_in(sam)
    other = cast.add_role(analyst.application, "Writer")
    stories.give(ada, other)
    forbid([analyst], [other], owner=sam, name="Pair", effect=SodEffect.BLOCK)
    guarded = rule(analyst, except_people=f"{ada.email}\n{sam.email}", except_condition='title sw "Intern"')
    words = urlencode(guarded, doseq=True)

    # What the rule kept away before, and whom it excepts by name, is asked beside what rules about duties forbid.
    change = f"/rules/engineers-1/change/?{urlencode(guarded | {'name': 'Engineers 1'}, doseq=True)}"
    for path in (
        "/rules/", "/rules/engineers-1/", "/rules/engineers-1/change/", "/rules/engineers-1/retire/", "/new-rule/",
        f"/new-rule/?{words}", f"/new-rule/affected/?{words}", "/rule-suggestions/", change,
    ):  # fmt: skip
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert client.get(path).status_code == 200, path
        assert len(asked) <= (14 if path == change else 12), (path, "\n".join(one["sql"][:150] for one in asked))


def test_a_rule_that_could_not_be_applied_says_why_and_is_tried_again(
    ada: Person, sam: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_parking, "FAILURES_TO_PARK", 1)
    with monkeypatch.context() as broken:
        broken.setattr(birthright, "apply", lambda *_, **__: 1 // 0)
        save(signed_in(sam), "/new-rule/", rule(analyst))

    page = signed_in(audrey).get("/rules/engineers/").content.decode()
    assert "Stopped after 0 of 2 people" in page
    assert "ZeroDivisionError" in page
    assert "Try again" not in page
    assert "This goes on without you" not in page
    assert "Could not be applied" in signed_in(audrey).get("/rules/").content.decode()
    assert "Rules that could not be applied" in signed_in(sam).get("/").content.decode()
    assert "Try again" in signed_in(sam).get("/rules/engineers/").content.decode()

    answer = signed_in(sam).post("/rules/engineers/try-again/")
    rule_runs.work()

    assert (answer.status_code, holders(analyst)) == (302, ["Ada Lovelace", "Grace Hopper"])
    assert "Rules that could not be applied" not in signed_in(sam).get("/").content.decode()
    assert signed_in(sam).post("/rules/engineers/try-again/").status_code == 409


def test_a_planned_version_is_called_off_on_the_page(
    ada: Person, sam: Person, audrey: Person, analyst: Entitlement, signed_in: SignedIn
) -> None:
    client = signed_in(sam)
    save(client, "/new-rule/", rule(analyst))
    save(client, "/rules/engineers/change/", rule(analyst, condition="active eq false", starts_on="2099-05-01"))
    assert "Call off version 2" not in signed_in(audrey).get("/rules/engineers/").content.decode()
    assert "Version 2 from" in client.get("/rules/").content.decode()
    assert "Call off version 2" in client.get("/rules/engineers/").content.decode()

    answer = client.post("/rules/engineers/versions/2/call-off/")

    assert answer.status_code == 302
    page = client.get("/rules/engineers/").content.decode()
    assert "Called off" in page
    assert "Call off version" not in page
    assert "Version 2 from" not in client.get("/rules/").content.decode()
    # The next version is written from the one that counts.
    assert ENGINEERS.replace('"', "&quot;") in client.get("/rules/engineers/change/").content.decode()
    assert client.post("/rules/engineers/versions/1/call-off/").status_code == 409
    assert client.post("/rules/engineers/versions/7/call-off/").status_code == 404
