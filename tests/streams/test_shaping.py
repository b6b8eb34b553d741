"""OCSF: the class of an event, what its class requires, and names only where they are wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.ledger.models import Entry
from governance.ledger.queries import SealedEntry
from governance.ledger.recording import Subject
from governance.streams.batches import batch_from
from governance.streams.shaping import CLASS_NAMES, Names, as_ocsf
from governance.web.govern.lines import SENTENCES
from tests.streams.conftest import seal
from tests.web import stories

pytestmark = pytest.mark.django_db


def shaped(event: str, *, shape: str = "ocsf", with_names: bool = False) -> dict[str, Any]:
    index = Entry.objects.filter(event=event).latest("index").index
    batch = batch_from(index, shape=shape, with_names=with_names, with_rows=True, limit=1)
    return json.loads(json.dumps(batch.shaped[0]))


def test_a_grant_is_a_change_of_a_users_access(ada: Person, analyst: Entitlement) -> None:
    stories.give(ada, analyst)
    seal()

    said = shaped("grant.started")

    assert (said["class_uid"], said["activity_id"], said["type_uid"], said["category_uid"]) == (3005, 1, 300501, 3)
    assert said["user"] == {"uid": str(ada.ref), "type_id": 1}
    assert said["privileges"] == [f"entitlement:{analyst.pk}"]
    assert said["resource"] == {"uid": str(analyst.application_id), "type": "application"}
    assert said["metadata"]["version"] == "1.3.0"
    assert said["raw_data"] == Entry.objects.get(index=said["metadata"]["sequence"]).body


@pytest.mark.parametrize("shape", ["ocsf", "entry"])
def test_names_leave_the_house_only_when_the_destination_says_so(shape: str, ada: Person, analyst: Entitlement) -> None:
    stories.give(ada, analyst)
    seal()

    without = json.dumps(shaped("grant.started", shape=shape))
    with_them = json.dumps(shaped("grant.started", shape=shape, with_names=True))

    for name in ("Ada Lovelace", "Analyst", "Snowflake"):
        assert name not in without
        assert name in with_them


@pytest.mark.parametrize("event", SENTENCES)
def test_every_event_has_a_class_with_what_it_requires(event: str) -> None:
    subjects = (Subject("person", "p"), Subject("application", "1"), Subject("entitlement", "2"))
    entry = SealedEntry(7, event, now(), "system", "tests", "clock", "c", "1", subjects, {}, {}, "{}", b"")
    required = {3001: "user", 3002: "user", 3004: "entity", 3005: "user", 3006: "group"}

    said = as_ocsf(entry, Names())

    assert said["class_uid"] in CLASS_NAMES
    assert said[required[said["class_uid"]]]["uid"]
    assert said["type_uid"] == said["class_uid"] * 100 + said["activity_id"]
    assert (said["class_uid"] != 3002) or said["service"]
