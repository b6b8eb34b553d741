"""What we understood, in plain words; and what is kept of a text. Both pure."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.explain import MAX_SENTENCES, Told, explained
from scim_bridge.masking import cut, masked, masked_filter, masked_path, masked_query, shortened, without

ID = "3f8b6a4e-1111-4222-8333-444455556666"


def _patch(*operations: dict[str, Any], kind: str = "Users") -> list[str]:
    told = Told("PATCH", f"/{kind}/{ID}", 200, request={"Operations": list(operations)})
    return list(explained(told).sentences)


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        ({"op": "replace", "path": "active", "value": False}, "Replace active with false: this person leaves."),
        ({"op": "Replace", "path": "active", "value": "False"}, "Replace active with false: this person leaves."),
        ({"op": "replace", "value": {"active": False}}, "Replace active with false: this person leaves."),
        (
            {"op": "replace", "path": "active", "value": True},
            "Replace active with true: this person is with the company.",
        ),
        ({"op": "replace", "path": "title", "value": "En… (8 characters)"}, "Replace title with En… (8 characters)."),
        ({"op": "add", "path": "title", "value": "En… (8 characters)"}, "Add title: En… (8 characters)."),
        ({"op": "remove", "path": "title"}, "Remove title."),
        ({"op": "add", "path": "emails", "value": [{}, {}]}, "Add emails: 2 values."),
        ({"op": "replace", "path": "name", "value": {"givenName": "x"}}, "Replace name: givenName."),
        ({"op": "add", "path": "members", "value": [{}]}, "Add 1 member."),
        ({"op": "Remove", "path": "members", "value": [{}, {}]}, "Remove 2 members."),
        ({"op": "remove", "path": f'members[value eq "{ID}"]'}, "Remove one member."),
        ({"op": "remove", "path": "members"}, "Remove all members."),
        ({"op": "replace", "path": "members", "value": []}, "The members are then exactly nobody."),
        ({"op": "explode", "path": "x"}, "An operation that is neither add, replace nor remove."),
        ({"op": "remove"}, "Remove something without saying what."),
        ("nonsense", "An operation that is neither add, replace nor remove."),
    ],
)
def test_an_operation_is_said_in_words(operation: Any, sentence: str) -> None:
    assert _patch(operation) == [sentence]


@pytest.mark.parametrize(
    ("told", "sentences"),
    [
        (Told("GET", "/ServiceProviderConfig", 200), ["Asks what this server can do."]),
        (Told("GET", f"/Users/{ID}", 200), [f"Read the user {ID}."]),
        (Told("GET", f"/Users/{ID}", 304), [f"Read the user {ID}. It has not changed since."]),
        (
            Told("GET", "/Users", 200, {"filter": 'userName eq "ab… (14 characters)"'}, None, {"totalResults": 0}),
            ["Look for a user named ab… (14 characters): none found."],
        ),
        (
            Told("GET", "/Users", 200, {"filter": 'externalId eq "00… (20 characters)"'}, None, {"totalResults": 1}),
            ["Look for a user whose externalId is 00… (20 characters): 1 found."],
        ),
        (
            Told("GET", "/Groups", 200, {"startIndex": "101"}, None, {"totalResults": 230}),
            ["List the groups from number 101 on: 230 found."],
        ),
        (Told("POST", "/.search", 200, request={"filter": "title pr"}), ["Look for resources with title pr."]),
        (
            Told("POST", "/Users", 201, request={"userName": "ab… (5 characters)", "active": "false"}),
            ["Create the user ab… (5 characters).", "They are not active: they get no access."],
        ),
        (
            Told("POST", "/Groups", 201, request={"displayName": "Cr… (4 characters)", "members": [{}, {}]}),
            ["Create the group Cr… (4 characters).", "Put 2 people into it."],
        ),
        (Told("DELETE", f"/Users/{ID}", 204), [f"Delete the user {ID}: this person leaves, and their history stays."]),
        (
            Told("POST", "/Bulk", 200, request={"Operations": [{"method": "DELETE", "path": f"/Groups/{ID}"}]}),
            ["1 operation in one request.", f"Delete the group {ID}: everybody in it leaves it."],
        ),
        (
            Told(
                "POST",
                "/Bulk",
                200,
                request={"Operations": [{"method": "POST", "path": "/Groups", "data": {"displayName": "Cr…"}}, {}]},
                response={"Operations": [{"status": "409"}, {"status": "201"}]},
            ),
            ["2 operations in one request.", "1 of them was refused.", "Create the group Cr…."],
        ),
        (
            Told("PUT", f"/Groups/{ID}", 200, request={"bytes": 480000, "kept": False}),
            ["A PUT with a body of 480000 bytes, which is too large to be kept."],
        ),
        (Told("POST", "/Users", 400, request={"bytes": 1, "json": False}), ["A POST with a body that is not JSON."]),
        (Told("BREW", "/Users", 405), []),
        (Told("GET", "/Nothing", 404), []),
    ],
)
def test_an_exchange_is_said_in_words(told: Told, sentences: list[str]) -> None:
    assert list(explained(told).sentences) == sentences


@pytest.mark.parametrize(
    ("status", "scim_type", "method", "section"),
    [
        (400, "noTarget", "PATCH", "RFC 7644 §3.5.2.3"),
        (400, "invalidPath", "PATCH", "RFC 7644 §3.5.2"),
        (400, "invalidFilter", "GET", "RFC 7644 §3.4.2.2"),
        (400, "mutability", "PUT", "RFC 7644 §3.5.1"),
        (409, "uniqueness", "POST", "RFC 7644 §3.3"),
        (400, "invalidSyntax", "POST", "RFC 7644 §3.3"),
        (400, "expiredCursor", "GET", "RFC 9865 §2.1"),
        (401, "", "GET", "RFC 6750 §3.1"),
        (412, "", "PATCH", "RFC 7644 §3.14"),
        (413, "", "POST", "RFC 7644 §3.7.4"),
        (429, "", "GET", "RFC 6585 §4"),
        (500, "", "GET", "RFC 7644 §3.12"),
        (418, "unheardOf", "GET", "RFC 7644 §3.12"),
    ],
)
def test_a_refusal_names_its_section(status: int, scim_type: str, method: str, section: str) -> None:
    answer = {"status": str(status), "detail": "It is so.", **({"scimType": scim_type} if scim_type else {})}

    understood = explained(Told(method, "/Users", status, response=answer))

    assert understood.section == section
    assert "It is so." in understood.problem
    assert ("Nothing was changed." in understood.problem) == (method != "GET")


def test_what_went_well_has_no_problem() -> None:
    assert explained(Told("GET", "/Users", 200)).problem == ""


def test_many_operations_are_told_in_few_sentences() -> None:
    said = _patch(*({"op": "remove", "path": f"a{number}"} for number in range(40)))

    assert len(said) == MAX_SENTENCES
    assert said[-1] == "And 29 more."


@pytest.mark.parametrize("strange", [None, [], "text", 7, {"Operations": None}, {"operations": [None, 3, {}]}])
@pytest.mark.parametrize("path", ["/Users", "/Bulk", f"/Groups/{ID}", "/.search", ""])
def test_whatever_was_sent_can_be_explained(strange: Any, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        explained(Told(method, path, 400, request=strange, response=strange))


@pytest.mark.parametrize(
    ("text", "kept"),
    [("ada@halden.example", "ad… (18 characters)"), ("Ada", "… (3 characters)"), ("A", "… (1 character)")],
)
def test_a_text_becomes_its_beginning_and_length(text: str, kept: str) -> None:
    assert shortened(text) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"active": "False", "id": ID, "x": None, "n": True}, {"active": "False", "id": ID, "x": None, "n": True}),
        ({"schemas": ["urn:a"], "op": "Add", "type": "work"}, {"schemas": ["urn:a"], "op": "Add", "type": "work"}),
        ({"employeeNumber": 4711}, {"employeeNumber": "… (number)"}),
        ({"clientSecret": {"a": "b"}, "Password": "x"}, {"clientSecret": "(not kept)", "Password": "(not kept)"}),
        ({"path": 'emails[value eq "ada@x"].type'}, {"path": 'emails[value eq "ad… (5 characters)"].type'}),
        ({"path": f'members[value eq "{ID}"]'}, {"path": f'members[value eq "{ID}"]'}),
        ({"$ref": f"https://gate/scim/v2/Users/{ID}"}, {"$ref": f"https://gate/scim/v2/Users/{ID}"}),
        ({"$ref": "https://gate/scim/v2/Users/ada"}, {"$ref": "ht… (30 characters)"}),
    ],
)
def test_structure_and_words_of_the_protocol_stay(value: Any, kept: Any) -> None:
    assert masked(value) == kept


_KEYS = st.sampled_from(
    ["userName", "emails", "value", "type", "status", "version", "schemas", "op", "path", "filter", "note", "x", "$ref"]
)
_PERSONAL = st.text(alphabet="jklm", min_size=6, max_size=12).map(lambda text: f"Zoë {text}@halden.example")
_DOCUMENTS = st.recursive(
    st.one_of(
        _PERSONAL, _PERSONAL.map(lambda text: f'emails[value eq "{text}"]'), st.booleans(), st.none(), st.integers()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=12,
)


@given(document=_DOCUMENTS)
def test_whatever_a_document_holds_and_wherever_nobody_is_named(document: Any) -> None:
    kept = masked(document)
    told = explained(Told("PATCH", f"/Users/{ID}", 400, request={"Operations": [kept]}, response=kept))

    said = json.dumps([kept, cut(kept), list(told.sentences), told.problem], ensure_ascii=False)
    assert "halden" not in said
    assert "Zoë" not in said


@given(value=st.recursive(st.none() | st.booleans() | st.text() | st.floats(), st.lists, max_leaves=8), key=st.text())
def test_any_value_can_be_masked_and_stored(value: Any, key: str) -> None:
    said = orjson.dumps(masked({key: value}))  # refuses half a pair, which neither UTF-8 nor PostgreSQL holds

    assert b"\\u0000" not in said


def test_a_long_list_is_cut_and_says_how_long_it_was() -> None:
    assert cut([1] * 60) == [1] * 50 + ["… and 10 more"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('userName eq "ada" and active eq true', 'userName eq "… (3 characters)" and active eq true'),
        ('title eq "say \\"hi\\" now"', 'title eq "sa… (14 characters)"'),
        ("userName eq ada@halden.example", "userName eq ad… (18 characters)"),
        ("userName eq ada and (active eq TRUE)", "userName eq … (3 characters) and (active eq TRUE)"),
        ("employeeNumber gt 4711", "employeeNumber gt 47… (4 characters)"),
        ("urn:a:2.0:User:manager.value pr", "urn:a:2.0:User:manager.value pr"),
        ('title eq "never closed', 'title eq "ne… (12 characters)"'),
    ],
)
def test_literals_of_a_filter_are_shortened(text: str, kept: str) -> None:
    assert masked_filter(text) == kept


def test_addresses_and_queries_keep_what_is_not_personal() -> None:
    assert masked_path(f"/Users/{ID}") == f"/Users/{ID}"
    assert (
        masked_path("/Users/../../etc/passwd")
        == "/Users/… (2 characters)/… (2 characters)/… (3 characters)/pa… (6 characters)"
    )
    assert masked_query("startIndex=1&count=100&attributes=userName") == "startIndex=1&count=100&attributes=userName"
    assert masked_query("access_token=abcdef") == "access_token=(not kept)"
    assert masked_query("count=ada%40halden.example") == "count=ad… (18 characters)"


def test_a_sentence_does_not_repeat_what_was_sent() -> None:
    said = without("The user name ada@x.example is taken by ada.", iter(["ada", "ada@x.example"]))

    assert said == "The user name ad… (13 characters) is taken by … (3 characters)."
