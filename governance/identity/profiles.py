"""The profile of a person as values: what every door hands to lifecycle, and how it is read from a SCIM document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

#: The longest value kept for each field, in characters. Doors check before; PostgreSQL would refuse after.
LIMITS: Mapping[str, int] = {
    "user_name": 320,
    "external_id": 320,
    "display_name": 320,
    "given_name": 160,
    "family_name": 160,
    "email": 320,
    "title": 200,
    "department": 200,
    "person_type": 80,
    "employee_number": 120,
    "time_zone": 64,
    "manager_hint": 320,
}


def caseless(text: str) -> str:
    """Return what is the same for texts that differ in letter case or in how their accents are composed.

    Unicode's canonical caseless form, composed: what RFC 7644 §5 asks of user names (RFC 7613 §3.2.2), and here of
    every text whose case does not count. Given its own result, it returns it.
    """
    return text.lower() if text.isascii() else normalize("NFC", normalize("NFD", text).casefold())


def key(value: str) -> str:
    """Return the form in which names are compared: without letter case, outer white space gone."""
    return caseless(value.strip())


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything a directory says about a person, as plain values. Empty strings mean "not said"."""

    user_name: str
    display_name: str = ""
    external_id: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    title: str = ""
    department: str = ""
    person_type: str = ""
    employee_number: str = ""
    time_zone: str = ""
    #: The directory's id of the manager: a SCIM id, an external id, a user name or an employee number.
    manager_hint: str = ""
    is_active: bool = True
    document: dict[str, Any] = field(default_factory=dict)

    def shown_name(self) -> str:
        """Return the name to show: the display name, else given and family name, else the user name."""
        return self.display_name or f"{self.given_name} {self.family_name}".strip() or self.user_name


def profile_from_document(document: Mapping[str, Any]) -> Profile:
    """Read a canonical SCIM User document (RFC 7643 §4.1, §4.3) into a profile.

    The primary e-mail address wins, else the one of type work, else the first.
    """
    name = document.get("name") or {}
    enterprise = document.get(ENTERPRISE) or {}
    manager = enterprise.get("manager") or {}
    return Profile(
        user_name=str(document.get("userName") or ""),
        display_name=str(document.get("displayName") or name.get("formatted") or ""),
        external_id=str(document.get("externalId") or ""),
        given_name=str(name.get("givenName") or ""),
        family_name=str(name.get("familyName") or ""),
        email=_main_email(document),
        title=str(document.get("title") or ""),
        department=str(enterprise.get("department") or ""),
        person_type=str(document.get("userType") or ""),
        employee_number=str(enterprise.get("employeeNumber") or ""),
        time_zone=str(document.get("timezone") or ""),
        manager_hint=str(manager.get("value") or "") if isinstance(manager, Mapping) else str(manager),
        is_active=document.get("active", True) is not False,
        document=dict(document),
    )


def document_from_profile(profile: Profile) -> dict[str, Any]:
    """Write a profile that did not come over SCIM as a canonical SCIM User document."""
    enterprise = {
        "department": profile.department,
        "employeeNumber": profile.employee_number,
        "manager": {"value": profile.manager_hint} if profile.manager_hint else "",
    }
    document: dict[str, Any] = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": profile.user_name,
        "externalId": profile.external_id,
        "displayName": profile.shown_name(),
        "name": _without_blanks({"givenName": profile.given_name, "familyName": profile.family_name}),
        "emails": [{"value": profile.email, "type": "work", "primary": True}] if profile.email else [],
        "title": profile.title,
        "userType": profile.person_type,
        "timezone": profile.time_zone,
        "active": profile.is_active,
        ENTERPRISE: _without_blanks(enterprise),
    }
    document = _without_blanks(document)
    if ENTERPRISE in document:
        document["schemas"] = [*document["schemas"], ENTERPRISE]
    return document


def normalised(value: Any) -> Any:
    """Return the copy of a document that filters compare with: strings without letter case, keys in lower case."""
    if isinstance(value, str):
        return caseless(value)
    if isinstance(value, Mapping):
        return {name.lower(): normalised(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [normalised(inner) for inner in value]
    return value


def _without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", [], {}, None)}


def _main_email(document: Mapping[str, Any]) -> str:
    emails = [mail for mail in document.get("emails") or [] if isinstance(mail, Mapping) and mail.get("value")]
    ranked = sorted(emails, key=lambda mail: (mail.get("primary") is not True, mail.get("type") != "work"))
    return str(ranked[0]["value"]) if ranked else ""
