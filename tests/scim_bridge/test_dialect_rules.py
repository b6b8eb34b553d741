"""Each normalising rule as a table: what a provider sends, and what the strict engine gets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from scim2_models import InvalidPathException, InvalidSyntaxException, InvalidValueException, MutabilityException

from governance.identity.connections.dialects import DIALECTS as OFFERED
from scim_bridge.dialects import documents, filters, operations, values
from scim_bridge.dialects.patches import Operation, OperationRule, Target
from scim_bridge.dialects.policies import DIALECTS
from scim_bridge.dialects.shapes import SHAPES
from scim_bridge.dialects.unknown import with_unknown
from tests.scim_bridge.conftest import ENTERPRISE, GROUP, PATCH, USER

MANAGER = f"{ENTERPRISE}:manager"
CUSTOM = "urn:okta:custom:1.0:user:custom"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

SHAPE = SHAPES["User"]
LENIENT = [name for name in DIALECTS if name != "strict"]


def attribute(name: str) -> Any:
    return SHAPE.attributes.get(name.lower()) or SHAPE.extensions[ENTERPRISE.lower()][name.lower()]


@pytest.mark.parametrize(
    ("rule", "name", "sent", "meant"),
    [
        (values.blank_is_unassigned, "title", "", None),
        (values.blank_is_unassigned, "title", "Countess", "Countess"),
        (values.blank_is_unassigned, "userName", "", ""),
        (values.booleans_from_text, "active", "False", False),
        (values.booleans_from_text, "active", "tRUE", True),
        (values.booleans_from_text, "active", False, False),
        (values.booleans_from_text, "title", "False", "False"),
        (values.lists_from_one, "emails", {"value": "a@b"}, [{"value": "a@b"}]),
        (values.lists_from_one, "emails", "a@b", [{"value": "a@b"}]),
        (values.lists_from_one, "emails", ["a@b", {"value": "c@d"}], [{"value": "a@b"}, {"value": "c@d"}]),
        (values.lists_from_one, "emails", None, None),
        (values.lists_from_one, "emails", [], []),
        (values.lists_from_one, "emails", "", []),
        (values.lists_from_one, "addresses", "", []),
        (values.without_read_only_parts, "manager", {"value": "m", "displayName": "M"}, {"value": "m"}),
        (values.without_read_only_parts, "name", {"givenName": "A", "odd": 1}, {"givenName": "A", "odd": 1}),
        (values.lists_from_one, "addresses", {"country": "DE"}, [{"country": "DE"}]),
        (values.lists_from_one, "addresses", "Main Street 1", ["Main Street 1"]),
        (values.lists_from_one, "name", {"givenName": "A"}, {"givenName": "A"}),
        (values.complex_from_text, "manager", "m", {"value": "m"}),
        (values.complex_from_text, "manager", "", None),
        (values.complex_from_text, "manager", None, None),
        (values.complex_from_text, "manager", [], None),
        (values.complex_from_text, "manager", [{"$ref": "u", "value": "m"}], {"$ref": "u", "value": "m"}),
        (values.complex_from_text, "manager", {"value": ""}, None),
        (values.complex_from_text, "manager", {"value": None}, None),
        (values.complex_from_text, "manager", ["a", "b"], ["a", "b"]),
        (values.complex_from_text, "name", "Ada", "Ada"),
        (values.simple_from_wrapped, "displayName", [{"$ref": None, "value": "Bob"}], "Bob"),
        (values.simple_from_wrapped, "displayName", {"value": "Bob"}, "Bob"),
        (values.simple_from_wrapped, "displayName", ["Bob"], "Bob"),
        (values.simple_from_wrapped, "displayName", ["a", "b"], ["a", "b"]),
        (values.simple_from_wrapped, "emails", [{"value": "a@b"}], [{"value": "a@b"}]),
        (
            values.roles_from_packed,
            "roles",
            [{"value": '{"id":"1","value":"Admin","displayName":"Administrator"}', "type": "t"}],
            [{"value": "Admin", "display": "Administrator", "type": "t"}],
        ),
        (values.roles_from_packed, "roles", [{"value": "Admin"}], [{"value": "Admin"}]),
        (values.roles_from_packed, "roles", [{"value": "{broken"}], [{"value": "{broken"}]),
        (values.roles_from_packed, "roles", [{"value": '{"id":"1"}'}], [{"value": '{"id":"1"}'}]),
        (values.roles_from_packed, "emails", [{"value": '{"value":"x"}'}], [{"value": '{"value":"x"}'}]),
        (values.without_empty_elements, "phoneNumbers", [{"type": "work", "value": ""}, None], []),
        (values.without_empty_elements, "phoneNumbers", [{"type": "work"}], [{"type": "work"}]),
        (
            values.without_empty_elements,
            "phoneNumbers",
            [{"type": "fax", "value": "1"}],
            [{"type": "fax", "value": "1"}],
        ),
        (values.without_empty_elements, "addresses", [{"type": "work", "country": "", "region": None}], []),
    ],
)
def test_a_value_is_read_as_it_was_meant(rule: values.ValueRule, name: str, sent: Any, meant: Any) -> None:
    assert rule(attribute(name), sent) == meant


@pytest.mark.parametrize("sent", ["perhaps", "yes", "0", " "])
def test_a_text_that_is_no_boolean_is_refused_by_name(sent: str) -> None:
    with pytest.raises(InvalidValueException) as refused:
        values.booleans_from_text(attribute("active"), sent)

    assert "active" in str(refused.value.detail)


@pytest.mark.parametrize(
    ("rule", "sent", "meant"),
    [
        (
            documents.schemas_that_are_present,
            {"schemas": ["urn:scim:schemas:core:1.0", USER], "userName": "a"},
            {"schemas": [USER], "userName": "a"},
        ),
        (documents.schemas_that_are_present, {"userName": "a"}, {"schemas": [USER], "userName": "a"}),
        (documents.schemas_that_are_present, {"SCHEMAS": USER}, {"schemas": [USER]}),
        (
            documents.schemas_that_are_present,
            {"schemas": [USER, CUSTOM], CUSTOM: {"a": 1}, ENTERPRISE: {"department": "D"}},
            {"schemas": [USER, CUSTOM, ENTERPRISE], CUSTOM: {"a": 1}, ENTERPRISE: {"department": "D"}},
        ),
        (documents.schemas_that_are_present, {"schemas": [USER, ADSCIM, ENTERPRISE]}, {"schemas": [USER]}),
        (documents.names_without_their_urn, {f"{USER}:title": "T"}, {"title": "T"}),
        (documents.names_without_their_urn, {USER: {"title": "T", "password": "p"}}, {"title": "T", "password": "p"}),
        (
            documents.names_without_their_urn,
            {ENTERPRISE: {"division": "V"}, f"{ENTERPRISE}:department": "D"},
            {ENTERPRISE: {"division": "V", "department": "D"}},
        ),
        (documents.names_without_their_urn, {f"{CUSTOM}:x": 1, "foo": 2}, {f"{CUSTOM}:x": 1, "foo": 2}),
        (documents.no_unknown_nulls, {"foo": None, "title": None, "bar": 0}, {"title": None, "bar": 0}),
    ],
)
def test_a_document_is_read_as_it_was_meant(
    rule: documents.DocumentRule, sent: dict[str, Any], meant: dict[str, Any]
) -> None:
    assert rule(SHAPE, sent) == meant


def op(verb: str, path: str | None = None, *value: Any) -> Operation:
    return Operation(verb, path, *value)


def keyed(verb: str, path: str, value: Any) -> Operation:
    return Operation(verb, path, value, is_keyed=True)


@pytest.mark.parametrize(
    ("rule", "sent", "meant"),
    [
        (
            operations.split_by_key,
            op("replace", None, {"name.givenName": "K", f"{ENTERPRISE}:department": "Blue"}),
            [keyed("replace", "name.givenName", "K"), keyed("replace", f"{ENTERPRISE}:department", "Blue")],
        ),
        (
            operations.split_by_key,
            op("add", None, {ENTERPRISE: {"department": "Blue", "manager": "m"}}),
            [keyed("add", f"{ENTERPRISE}:department", "Blue"), keyed("add", MANAGER, "m")],
        ),
        (
            operations.split_by_key,
            op("replace", ENTERPRISE, {"department": "Blue"}),
            [keyed("replace", f"{ENTERPRISE}:department", "Blue")],
        ),
        (operations.split_by_key, op("replace", USER, {"title": "T"}), [keyed("replace", "title", "T")]),
        (operations.split_by_key, op("replace", None, {"no name": 1, "title": "T"}), [keyed("replace", "title", "T")]),
        (operations.split_by_key, op("replace", None, [1]), [op("replace", None, [1])]),
        (operations.split_by_key, op("remove", None, {"a": 1}), [op("remove", None, {"a": 1})]),
        (operations.colon_after_urn, op("add", f"{ENTERPRISE}.manager", "D"), [op("add", MANAGER, "D")]),
        (operations.colon_after_urn, op("add", f"{MANAGER}.value", "m"), [op("add", f"{MANAGER}.value", "m")]),
        (operations.without_echo, keyed("replace", "id", "me"), []),
        (operations.without_echo, op("replace", "id", "me"), []),
        (operations.without_echo, keyed("replace", "meta", {"version": "1"}), []),
        (operations.without_echo, keyed("replace", "schemas", [USER]), []),
        (operations.without_echo, keyed("replace", "groups", [{"value": "g"}]), []),
        (operations.without_echo, keyed("replace", f"{MANAGER}.displayName", "M"), []),
        (
            operations.without_echo,
            keyed("replace", f"{MANAGER}.value", "m"),
            [keyed("replace", f"{MANAGER}.value", "m")],
        ),
        (operations.without_echo, op("replace", "groups", [1]), [op("replace", "groups", [1])]),
        (operations.qualified, op("add", "manager", "m"), [op("add", MANAGER, "m")]),
        (operations.qualified, op("add", "manager.value", "m"), [op("add", f"{MANAGER}.value", "m")]),
        (operations.qualified, op("add", "title", "m"), [op("add", "title", "m")]),
        (
            operations.with_brackets((filters.booleans_compared_as_booleans,)),
            op("add", 'roles[primary eq "True"].value', "r"),
            [op("add", "roles[primary eq true].value", "r")],
        ),
        (
            operations.with_brackets((filters.booleans_compared_as_booleans,)),
            op("add", 'emails[type eq "True"].value', "r"),
            [op("add", 'emails[type eq "True"].value', "r")],
        ),
        (operations.whole_elements, op("add", "emails.value", "a"), [op("add", "emails", [{"value": "a"}])]),
        (operations.whole_elements, op("replace", "emails.value", "a"), [op("replace", "emails.value", "a")]),
        (operations.whole_elements, op("add", "name.givenName", "K"), [op("add", "name.givenName", "K")]),
        (
            operations.with_values((values.booleans_from_text,)),
            op("add", 'emails[type eq "work"].primary', "True"),
            [op("add", 'emails[type eq "work"].primary', True)],
        ),
        (
            operations.with_values((values.booleans_from_text,)),
            op("add", 'emails[type eq "work"]', {"primary": "True"}),
            [op("add", 'emails[type eq "work"]', {"primary": True})],
        ),
        (
            operations.only_what_is_listed,
            op("remove", "emails", [{"value": 'a"b', "type": "work", "display": "x"}, {"value": "c"}]),
            [op("remove", 'emails[value eq "a\\"b" and type eq "work"]'), op("remove", 'emails[value eq "c"]')],
        ),
        (operations.only_what_is_listed, op("remove", "emails", "a"), [op("remove", 'emails[value eq "a"]')]),
        (operations.only_what_is_listed, op("remove", "emails", []), []),
        (operations.only_what_is_listed, op("remove", "emails", [7]), []),
        (operations.only_what_is_listed, op("remove", "emails", None), [op("remove", "emails")]),
        (
            operations.only_what_is_listed,
            op("remove", "addresses", [{"type": "work", "country": "DE"}]),
            [op("remove", 'addresses[type eq "work" and country eq "DE"]')],
        ),
        (operations.only_what_is_listed, op("remove", "title", "Countess"), [op("remove", "title")]),
        (operations.only_what_is_listed, op("remove", "custom", [{"value": "a"}]), []),
        (operations.blank_removes, op("replace", "title", None), [op("remove", "title")]),
        (operations.blank_removes, op("replace", ENTERPRISE, None), [op("remove", ENTERPRISE)]),
        (operations.blank_removes, op("replace", MANAGER, ""), [op("remove", MANAGER)]),
        (operations.blank_removes, op("add", "title", ""), [op("remove", "title")]),
        (operations.blank_removes, op("replace", "emails", []), [op("remove", "emails")]),
        (operations.blank_removes, op("add", "emails", []), []),
        (operations.blank_removes, op("add", "emails", None), []),
        (operations.blank_removes, op("replace", "userName", ""), [op("replace", "userName", "")]),
        (
            operations.blank_removes,
            op("replace", 'emails[type eq "work"].value', ""),
            [op("remove", 'emails[type eq "work"].value')],
        ),
        (
            operations.merged_additions,
            op("add", "emails", [{"value": "a", "type": "work", "primary": True}]),
            [op("add", 'emails[value eq "a" and type eq "work"]', {"value": "a", "type": "work", "primary": True})],
        ),
        (
            operations.merged_additions,
            op("add", "addresses", [{"country": "DE"}]),
            [op("add", "addresses", [{"country": "DE"}])],
        ),
        (operations.without_unknown, op("add", "name.unheardOf", "x"), []),
        (operations.without_unknown, op("add", 'custom[type eq "a"].value', "x"), []),
        (operations.without_unknown, op("add", "custom", "x"), [op("add", "custom", "x")]),
        (operations.without_unknown, op("remove", None), [op("remove", None)]),
    ],
)
def test_an_operation_is_read_as_it_was_meant(rule: OperationRule, sent: Operation, meant: list[Operation]) -> None:
    assert rule(Target(SHAPE, "me"), sent) == meant


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (op("remove", "members", [{"value": "u1"}]), [op("remove", "members", [{"value": "u1"}])]),
        (op("remove", "members", []), [op("remove", "members", [])]),
        (op("remove", "members", None), [op("remove", "members")]),
        (op("add", "members", []), []),
        (op("add", "members", None), []),
        (op("replace", "members", ""), [op("replace", "members", "")]),
    ],
)
def test_only_an_explicit_removal_of_all_empties_a_group(sent: Operation, meant: list[Operation]) -> None:
    target = Target(SHAPES["Group"], "me")

    left = [
        two for one in operations.only_what_is_listed(target, sent) for two in operations.blank_removes(target, one)
    ]

    assert left == meant


def test_another_id_is_refused_and_the_same_is_not() -> None:
    body = {"Operations": [{"op": "replace", "value": {"id": "other", "displayName": "x"}}]}

    with pytest.raises(MutabilityException):
        DIALECTS["okta"].patch("Group", body, "me")
    assert DIALECTS["okta"].patch("Group", body, "other")["Operations"] == [
        {"op": "replace", "path": "displayName", "value": "x"}
    ]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], InvalidSyntaxException),
        ({}, InvalidSyntaxException),
        ({"Operations": {}}, InvalidSyntaxException),
        ({"Operations": []}, InvalidSyntaxException),
        ({"Operations": ["add"]}, InvalidSyntaxException),
        ({"Operations": [{"op": "move", "path": "title"}]}, InvalidSyntaxException),
        ({"Operations": [{"path": "title"}]}, InvalidSyntaxException),
        ({"Operations": [{"op": "add", "path": 7, "value": 1}]}, InvalidPathException),
        ({"Operations": [{"op": "add", "path": "emails[", "value": 1}]}, InvalidPathException),
        ({"Operations": [{"op": "add", "path": 'title eq "a"', "value": 1}]}, InvalidPathException),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", LENIENT)
def test_a_patch_out_of_order_is_refused(name: str, body: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        DIALECTS[name].patch("User", body, "me")


def test_letter_case_of_verbs_and_keys_does_not_matter() -> None:
    sent = {"operations": [{"OP": "Replace", "Path": " active ", "VALUE": "FALSE"}]}

    assert DIALECTS["entra"].patch("User", sent, "me") == {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ('active eq "True"', "active eq true"),
        ('not (active eq "false") and userName eq "a"', 'not (active eq false) and userName eq "a"'),
        ('roles[primary eq "True"].value eq "r"', 'roles[primary eq true and value eq "r"]'),
        ('manager eq "m"', 'manager.value eq "m"'),
        (f'{MANAGER} eq "m"', f'{MANAGER}.value eq "m"'),
        ('id eq "u" and manager eq "m"', 'id eq "u" and manager.value eq "m"'),
        ('username Eq "x"', 'username Eq "x"'),
        ('email Co "x"', 'email Co "x"'),
        ('active eq "perhaps"', 'active eq "perhaps"'),
        ('title eq "True"', 'title eq "True"'),
        ("(((", "((("),
        ('userName eq "' + "x" * 5000, 'userName eq "' + "x" * 5000),
    ],
)
def test_a_filter_is_read_as_it_was_meant_and_never_widened(sent: str, meant: str) -> None:
    assert DIALECTS["default"].filter(("User",), sent) == meant


def test_members_in_a_filter_are_left_to_the_engine() -> None:
    sent = 'id eq "g" and members eq "u"'

    assert DIALECTS["entra"].filter(("Group",), sent) == sent


BEFORE = {"schemas": [USER], "userName": "a", "custom": ["x"], CUSTOM: {"a": 1}}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"op": "replace", "path": "custom", "value": "y"}, {"custom": "y"}),
        ({"op": "add", "path": "CUSTOM", "value": ["x", "y"]}, {"custom": ["x", "y"]}),
        ({"op": "add", "path": f"{CUSTOM}", "value": {"b": 2}}, {CUSTOM: {"a": 1, "b": 2}}),
        ({"op": "replace", "path": f"{CUSTOM}", "value": {"b": 2}}, {CUSTOM: {"b": 2}}),
        ({"op": "replace", "path": f"{CUSTOM}:a", "value": 7}, {CUSTOM: {"a": 7}}),
        ({"op": "add", "path": "urn:x:2.0:User:tag", "value": "t"}, {"urn:x:2.0:User": {"tag": "t"}}),
        ({"op": "add", "path": "other.part", "value": "t"}, {"other": {"part": "t"}}),
        ({"op": "add", "path": f"{ENTERPRISE}:badge", "value": "t"}, {ENTERPRISE: {"badge": "t"}}),
        ({"op": "add", "path": f"{USER}:badge", "value": "t"}, {"badge": "t"}),
        ({"op": "replace", "path": "title", "value": "known"}, {}),
    ],
)
def test_an_unknown_attribute_of_a_patch_is_kept(sent: dict[str, Any], meant: dict[str, Any]) -> None:
    changed = with_unknown(SHAPE, [sent], BEFORE)

    assert {**changed, "schemas": None} == {**BEFORE, **meant, "schemas": None}


@pytest.mark.parametrize("path", [CUSTOM, f"{CUSTOM}:a"])
def test_an_unknown_extension_leaves_with_its_last_attribute_and_its_schema(path: str) -> None:
    before = {**BEFORE, "schemas": [USER, CUSTOM]}

    changed = with_unknown(SHAPE, [{"op": "remove", "path": path}], before)

    assert changed == {"schemas": [USER], "userName": "a", "custom": ["x"]}


def test_what_is_ignored_is_named_in_the_log_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = {"Operations": [{"op": "add", "path": "name.secretThing", "value": "hush"}]}

    assert DIALECTS["entra"].patch("User", body, "me") is None
    assert "name.secretThing" in caplog.text
    assert "hush" not in caplog.text


def test_strict_changes_nothing() -> None:
    strict = DIALECTS["strict"]
    document, patch = {"emails": "x"}, {"Operations": [{"op": "Add", "path": "active", "value": "False"}]}

    assert strict.document("User", document) is document
    assert strict.patch("User", patch, "me") is patch
    assert strict.filter(("User",), 'active eq "True"') == 'active eq "True"'
    assert strict.kept("User", patch, document) is document


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.parametrize("type_name", ["User", "Group", "Role"])
def test_a_document_that_keeps_to_the_rfc_passes_unchanged(name: str, type_name: str) -> None:
    keeps = {
        "User": {
            "schemas": [USER, ENTERPRISE],
            "userName": "ada@halden.example",
            "name": {"givenName": "Ada"},
            "active": False,
            "emails": [{"value": "ada@halden.example", "type": "work", "primary": True}],
            "addresses": [{"type": "work", "country": "GB"}],
            "title": None,
            "roles": [{"value": "{not json", "primary": False}],
            ENTERPRISE: {"manager": {"value": "m", "$ref": "../Users/m"}, "employeeNumber": "0007"},
        },
        "Group": {"schemas": [GROUP], "displayName": "Engineers", "members": [{"value": "u", "type": "User"}]},
        "Role": {"schemas": ["urn:okta:scim:schemas:core:1.0:Role"], "displayName": ""},
    }

    assert DIALECTS[name].document(type_name, keeps[type_name]) == keeps[type_name]


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.parametrize(
    "sent",
    [
        {"op": "replace", "path": "title", "value": "Countess"},
        {"op": "remove", "path": 'emails[type eq "work" and value co "x"]'},
        {"op": "replace", "path": "name", "value": {"givenName": "Ada"}},
        {"op": "replace", "path": "emails", "value": [{"value": "a@b", "primary": True}]},
        {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Engineering"},
        {"op": "remove", "path": MANAGER},
    ],
    ids=str,
)
def test_an_operation_that_keeps_to_the_rfc_passes_unchanged(name: str, sent: dict[str, Any]) -> None:
    body = {"schemas": [PATCH], "Operations": [sent]}

    assert DIALECTS[name].patch("User", body, "me") == body


def test_people_are_offered_every_dialect_and_no_other() -> None:
    assert set(DIALECTS) == set(OFFERED)
    assert all(dialect.name == name for name, dialect in DIALECTS.items())


def test_a_document_of_fifty_thousand_members_is_not_walked() -> None:
    members = [{"value": "u"}] * 50_000

    assert DIALECTS["default"].document("Group", {"displayName": "x", "members": members})["members"] is members
    assert len(json.dumps(members)) > 50_000
    patch = {"Operations": [{"op": "add", "path": "members", "value": members}]}
    assert DIALECTS["default"].patch("Group", patch, "g")["Operations"][0]["value"] is members


_RULES: tuple[Callable[..., Any], ...] = (
    *DIALECTS["default"].document_rules,
    *DIALECTS["default"].value_rules,
    *DIALECTS["default"].filter_rules,
)


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.__name__)
def test_every_rule_names_where_it_comes_from(rule: Callable[..., Any]) -> None:
    sources = ("RFC", "Entra", "Okta", "OneLogin", "JumpCloud", "Google", "Keycloak", "authentik")

    assert any(source in str(rule.__doc__) for source in sources)
