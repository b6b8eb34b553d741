"""What we understood: an exchange in plain words, and why it was refused, with the section that says so. Pure.

It reads masked exchanges only, so that nothing it says can name a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: An exchange is told in at most so many sentences.
MAX_SENTENCES = 12

_EQUALS = re.compile(r'^\(?\s*([\w.:$-]+)\s+eq\s+"([^"]*)"\s*\)?$', re.IGNORECASE)
_MEMBER_FILTER = re.compile(r"^members\[.*\]$", re.IGNORECASE)
_LEAF = re.compile(r"[:.](\w+)$")


@dataclass(frozen=True, slots=True)
class Told:
    """A masked exchange, as far as it is explained."""

    method: str
    path: str
    status: int
    query: Mapping[str, str] = field(default_factory=dict)
    request: Any = None
    response: Any = None


@dataclass(frozen=True, slots=True)
class Understood:
    """What an exchange was about; `problem` and `section` are empty when it was not refused."""

    sentences: Sequence[str]
    problem: str = ""
    section: str = ""


#: scimType → what is wrong, and where that is written (RFC 7644 §3.12 table 9; RFC 9865 §2.3).
_TYPES: Mapping[str, tuple[str, str]] = {
    "invalidFilter": ("The filter cannot be understood.", "RFC 7644 §3.4.2.2"),
    "tooMany": ("More was asked for than one answer can hold.", "RFC 7644 §3.4.2"),
    "uniqueness": ("The name is taken, and it must be unique.", "RFC 7644 §3.3"),
    "mutability": ("An attribute that cannot be changed was to be changed.", "RFC 7643 §2.2"),
    "invalidSyntax": ("The body does not have the form of this kind of request.", "RFC 7644 §3.12"),
    "invalidPath": ("The path of an operation names nothing that exists.", "RFC 7644 §3.5.2"),
    "noTarget": ("The path of an operation selects nothing that could be changed.", "RFC 7644 §3.5.2.3"),
    "invalidValue": ("A value is missing, or does not fit its attribute.", "RFC 7643 §2.3"),
    "invalidVers": ("This version of the protocol is not spoken here.", "RFC 7644 §3.13"),
    "sensitive": ("What is sensitive must not be in the address.", "RFC 7644 §7.5.2"),
    "invalidCursor": ("The cursor does not belong to this list.", "RFC 9865 §2.1"),
    "expiredCursor": ("The cursor is too old; the list has to be read from its beginning.", "RFC 9865 §2.1"),
    "invalidCount": ("So many resources are not given in one page.", "RFC 9865 §2.1"),
}
#: status → the same, for what has no scimType.
_STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("The request is not in order.", "RFC 7644 §3.12"),
    401: ("The credentials open nothing.", "RFC 6750 §3.1"),
    403: ("This is not permitted.", "RFC 7644 §3.12"),
    404: ("There is no such thing, or this connection does not see it.", "RFC 7644 §3.12"),
    405: ("The address does not have this method.", "RFC 9110 §15.5.6"),
    406: ("The answer cannot be given in the form that was asked for.", "RFC 7644 §3.8"),
    409: ("The state of the resource does not allow it.", "RFC 7644 §3.12"),
    412: ("The resource was changed since the provider read it.", "RFC 7644 §3.14"),
    413: ("The body is larger than what is taken.", "RFC 7644 §3.7.4"),
    415: ("The body is not in a form that is read here.", "RFC 7644 §3.8"),
    429: ("The connection asked more often than its limit allows.", "RFC 6585 §4"),
    501: ("This part of the protocol is not offered.", "RFC 7644 §3.12"),
    503: ("The directory was not available.", "RFC 9110 §15.6.4"),
}
_BROKEN = ("Something went wrong here; it was logged.", "RFC 7644 §3.12")
#: A rule of the method wins over the one of the table.
_PER_METHOD: Mapping[tuple[str, str], str] = {
    ("mutability", "PATCH"): "RFC 7644 §3.5.2",
    ("mutability", "PUT"): "RFC 7644 §3.5.1",
    ("uniqueness", "PUT"): "RFC 7644 §3.5.1",
    ("uniqueness", "PATCH"): "RFC 7643 §7",
    ("invalidSyntax", "PATCH"): "RFC 7644 §3.5.2",
    ("invalidSyntax", "POST"): "RFC 7644 §3.3",
    ("invalidSyntax", "PUT"): "RFC 7644 §3.5.1",
}


def explained(told: Told) -> Understood:
    """Return what an exchange was about, and why it was refused when it was."""
    sentences = [each for each in _sentences(told) if each]
    if len(sentences) > MAX_SENTENCES:
        more = len(sentences) - MAX_SENTENCES + 1
        sentences = [*sentences[: MAX_SENTENCES - 1], f"And {more} more."]
    problem, section = _refusal(told) if told.status >= 400 else ("", "")
    return Understood(tuple(sentences), problem, section)


def _refusal(told: Told) -> tuple[str, str]:
    error = told.response if isinstance(told.response, Mapping) else {}
    scim_type = str(error.get("scimType", ""))
    why, section = _TYPES.get(scim_type) or _STATUSES.get(told.status) or _BROKEN
    section = _PER_METHOD.get((scim_type, told.method), section)
    detail = str(error.get("detail", "")).strip()
    nothing = " Nothing was changed." if told.method in {"POST", "PUT", "PATCH", "DELETE"} and _writes(told) else ""
    return f"{why} {detail}{nothing}".strip().replace("  ", " "), section


def _writes(told: Told) -> bool:
    return not told.path.endswith(".search")


def _sentences(told: Told) -> list[str]:
    if isinstance(told.request, Mapping) and told.request.get("kept") is False:
        return [f"A {told.method} with a body of {told.request.get('bytes')} bytes, which is too large to be kept."]
    if isinstance(told.request, Mapping) and told.request.get("json") is False:
        return [f"A {told.method} with a body that is not JSON."]
    parts = [part for part in told.path.split("/") if part]
    place = parts[0].lower() if parts else ""
    if parts and parts[-1] == ".search":
        body = told.request if isinstance(told.request, Mapping) else {}
        return [_searched(_kind(place), _lowered(body).get("filter"), told)]
    if place == "bulk":
        return _bulk(told)
    if place in _DISCOVERY:
        return [_DISCOVERY[place]]
    if place not in _KINDS:
        return []
    one = parts[1] if len(parts) > 1 else ""
    return _METHODS.get(told.method, _nothing)(_kind(place), one, told)


_DISCOVERY = {
    "serviceproviderconfig": "Asks what this server can do.",
    "schemas": "Asks which attributes there are.",
    "resourcetypes": "Asks which kinds of resources there are.",
    "me": "Asks for the person behind the token; a connection is not a person.",
}
_KINDS = {"users": "user", "groups": "group", "entitlements": "entitlement", "roles": "role"}


def _kind(place: str) -> str:
    return _KINDS.get(place, "resource")


def _nothing(kind: str, one: str, told: Told) -> list[str]:
    return []


def _read(kind: str, one: str, told: Told) -> list[str]:
    if not one:
        return [_searched(kind, told.query.get("filter"), told)]
    outcome = {200: "", 304: " It has not changed since.", 404: " There is none for this connection."}
    return [f"Read the {kind} {one}.{outcome.get(told.status, '')}"]


def _searched(kind: str, condition: Any, told: Told) -> str:
    found = _found(told)
    if not isinstance(condition, str) or not condition:
        start = told.query.get("startIndex", "1")
        return f"List the {kind}s from number {start} on{found}."
    match = _EQUALS.match(condition)
    if match is None:
        return f"Look for {kind}s with {condition}{found}."
    name, value = match[1], match[2]
    if name.lower() in {"username", "displayname"}:
        return f"Look for a {kind} named {value}{found}."
    return f"Look for a {kind} whose {_leaf(name)} is {value}{found}."


def _found(told: Told) -> str:
    total = told.response.get("totalResults") if isinstance(told.response, Mapping) else None
    if told.status != 200 or not isinstance(total, int):
        return ""
    return ": none found" if total == 0 else f": {total} found"


def _create(kind: str, one: str, told: Told) -> list[str]:
    body = _lowered(told.request)
    name = body.get("username") or body.get("displayname") or "without a name"
    said = [f"Create the {kind} {name}."]
    if _is_false(body.get("active")):
        said.append("They are not active: they get no access.")
    members = body.get("members")
    if isinstance(members, list) and members:
        said.append(f"Put {_people(len(members))} into it.")
    return said


def _replace(kind: str, one: str, told: Told) -> list[str]:
    body = _lowered(told.request)
    said = [f"Replace everything about the {kind} {one}."]
    if kind == "user" and "active" in body:
        said.append(_active(body["active"]))
    if kind == "group" and isinstance(body.get("members"), list):
        said.append(f"Its members are then exactly {_people(len(body['members']))}.")
    return said


def _delete(kind: str, one: str, told: Told) -> list[str]:
    if kind == "user":
        return [f"Delete the user {one}: this person leaves, and their history stays."]
    return [f"Delete the {kind} {one}: everybody in it leaves it."]


def _patch(kind: str, one: str, told: Told) -> list[str]:
    operations = _lowered(told.request).get("operations")
    if not isinstance(operations, list):
        return [f"Change the {kind} {one}, but the body holds no operations."]
    return [sentence for each in operations for sentence in _operation(each)]


def _operation(raw: Any) -> list[str]:
    operation = _lowered(raw)
    verb = str(operation.get("op", "")).lower()
    if verb not in _VERBS:
        return ["An operation that is neither add, replace nor remove."]
    path, value = operation.get("path"), operation.get("value")
    if isinstance(path, str) and path:
        return [_changed(verb, path, value)]
    if isinstance(value, Mapping):
        return [_changed(verb, str(name), inner) for name, inner in value.items()]
    return [f"{_VERBS[verb]} something without saying what."]


_VERBS = {"add": "Add", "replace": "Replace", "remove": "Remove"}


def _changed(verb: str, path: str, value: Any) -> str:
    if path.lower() == "members" or _MEMBER_FILTER.match(path):
        return _members(verb, path, value)
    if path.lower() == "active" and verb != "remove":
        return _active(value)
    if verb == "remove":
        return f"Remove {path}."
    if isinstance(value, Mapping):
        return f"{_VERBS[verb]} {path}: {', '.join(str(name) for name in value)}."
    if isinstance(value, list):
        return f"{_VERBS[verb]} {path}: {len(value)} value{'' if len(value) == 1 else 's'}."
    return f"{_VERBS[verb]} {path} with {_said(value)}." if verb == "replace" else f"Add {path}: {_said(value)}."


def _members(verb: str, path: str, value: Any) -> str:
    if _MEMBER_FILTER.match(path):
        return "Remove one member." if verb == "remove" else f"{_VERBS[verb]} one member."
    number = len(value) if isinstance(value, list) else 0 if value is None else 1
    if verb == "remove" and number == 0:
        return "Remove all members."
    if verb == "replace":
        return f"The members are then exactly {_people(number)}."
    return f"{_VERBS[verb]} {number} member{'' if number == 1 else 's'}."


def _bulk(told: Told) -> list[str]:
    operations = _lowered(told.request).get("operations")
    if not isinstance(operations, list):
        return ["Several operations in one request, but the body holds none."]
    said = [f"{len(operations)} operation{'' if len(operations) == 1 else 's'} in one request."]
    answered = _lowered(told.response).get("operations")
    refused = sum(_is_refused(each) for each in answered) if isinstance(answered, list) else 0
    said += [f"{refused} of them {'was' if refused == 1 else 'were'} refused."] if refused else []
    for each in operations[:MAX_SENTENCES]:
        operation = _lowered(each)
        method, path = str(operation.get("method", "")).upper(), str(operation.get("path", ""))
        one = Told(method, path, 200, {}, operation.get("data"))
        said += [] if path.lower().startswith("/bulk") else _sentences(one)
    return said


_METHODS: Mapping[str, Callable[[str, str, Told], list[str]]] = {
    "GET": _read,
    "HEAD": _read,
    "POST": _create,
    "PUT": _replace,
    "PATCH": _patch,
    "DELETE": _delete,
}


def _is_refused(outcome: Any) -> bool:
    return str(_lowered(outcome).get("status", ""))[:1] in {"4", "5"}


def _active(value: Any) -> str:
    if _is_false(value):
        return "Replace active with false: this person leaves."
    return "Replace active with true: this person is with the company."


def _is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.lower() == "false")


def _people(number: int) -> str:
    return "nobody" if number == 0 else "1 person" if number == 1 else f"{number} people"


def _said(value: Any) -> str:
    return "nothing" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def _leaf(name: str) -> str:
    found = _LEAF.search(name)
    return found[1] if found else name


def _lowered(value: Any) -> dict[str, Any]:
    return {str(name).lower(): inner for name, inner in value.items()} if isinstance(value, Mapping) else {}
