"""Attributes that have a column of their own, and the two lists that are the membership table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from governance.identity.conditions.document import DocumentSource
from governance.identity.conditions.fragments import FALSE, TRUE, Fragment, Source, compiled, relation
from governance.identity.conditions.language import InvalidCondition
from governance.identity.conditions.terms import About, Attribute, Comparison, Operator, Term
from governance.identity.models import Group, Membership, Person


@dataclass(frozen=True, slots=True)
class Column:
    """A SQL expression that is never NULL; an empty text means "no value" where `can_be_blank`."""

    sql: str
    can_be_blank: bool = False

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison. Equality stays bare, so that the column's index serves it."""
        if comparison.value is None:
            return Fragment(f"{self.sql} = ''") if self.can_be_blank else FALSE
        if not self.can_be_blank:
            return relation(comparison, Fragment(self.sql))
        if comparison.operator is Operator.EQ:
            return FALSE if comparison.value == "" else relation(comparison, Fragment(self.sql))
        return relation(comparison, Fragment(self.as_text())).but_never_null()

    def present(self, attribute: Attribute) -> Fragment:
        """Return "has a value that is not empty"."""
        return Fragment(f"{self.sql} <> ''") if self.can_be_blank else TRUE

    def as_text(self) -> str:
        """Return the SQL of the value itself, NULL when there is none."""
        return f"NULLIF({self.sql}, '')" if self.can_be_blank else self.sql

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Refuse: a column holds one value."""
        raise InvalidCondition(f"{attribute.name} is not a list, so [ ] does not apply to it.")


@dataclass(frozen=True, slots=True)
class IdColumn(Column):
    """A UUID column, whose SCIM value is its canonical text."""

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison; a text that is not a canonical UUID equals no id."""
        if comparison.value is None:
            return FALSE
        if comparison.operator is not Operator.EQ:
            return relation(comparison, Fragment(self.as_text()))
        wanted = str(comparison.value)
        return relation(comparison, Fragment(self.sql)) if _is_canonical_uuid(wanted) else FALSE

    def as_text(self) -> str:
        """Return the SQL of the value itself."""
        return f"{self.sql}::text"


@dataclass(frozen=True, slots=True)
class MembershipSource:
    """`groups` of a person or `members` of a group: rows of the membership table, joined to the other side."""

    #: FROM and the join condition, with the other side called `other`.
    rows: str
    parts: Mapping[str, Column]
    #: Sources whose people or groups are not there for the asker.
    hidden: tuple[str, ...] = ()

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison with any row; every row has every part, so "no value" means no row."""
        if comparison.value is None:
            return self._any(TRUE).negated()
        return self._any(self._find(comparison.attribute).compare(comparison))

    def present(self, attribute: Attribute) -> Fragment:
        """Return "there is a row"."""
        return self._any(TRUE)

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Return "one row satisfies all of `inner`"."""
        return self._any(compiled(inner, self._find))

    def _find(self, attribute: Attribute) -> Source:
        return self.parts[attribute.part or "value"]

    def _any(self, inner: Fragment) -> Fragment:
        if self.hidden:
            inner = Fragment(f"other.source <> ALL(%s::text[]) AND ({inner.sql})", (list(self.hidden), *inner.params))
        sql = f"EXISTS (SELECT 1 FROM {self.rows} AND ({inner.sql}))"  # noqa: S608 - constants; values are parameters
        return Fragment(sql, inner.params)


_MEMBERSHIP, _PERSON, _GROUP = (f'"{model._meta.db_table}"' for model in (Membership, Person, Group))

_COMMON: Mapping[str, Source] = {
    "id": IdColumn("{scim_id}"),
    "externalId": Column("{external_id}", can_be_blank=True),
    "meta": Column("{created_at}"),
    "meta.created": Column("{created_at}"),
    "meta.lastModified": Column("{modified_at}"),
    "meta.version": Column("""('W/"' || {version} || '"')"""),
}

_GROUPS = MembershipSource(
    f"{_MEMBERSHIP} AS link JOIN {_GROUP} AS other ON other.id = link.group_id"
    " WHERE link.person_id = {id} AND other.is_listed",
    {"value": IdColumn("other.scim_id"), "display": Column("other.display_name_key")},
)
_MEMBERS = MembershipSource(
    f"{_MEMBERSHIP} AS link JOIN {_PERSON} AS other ON other.id = link.person_id"
    " WHERE link.group_id = {id} AND other.is_listed",
    {"value": IdColumn("other.scim_id")},
)

_COLUMNS: Mapping[About, Mapping[str, Source]] = {
    About.PEOPLE: {
        **_COMMON,
        "meta.resourceType": Column("'User'::text"),
        "userName": Column("{user_name_key}"),
        **dict.fromkeys(("groups", "groups.value", "groups.display"), _GROUPS),
    },
    About.GROUPS: {
        **_COMMON,
        "meta.resourceType": Column("'Group'::text"),
        "displayName": Column("{display_name_key}"),
        **dict.fromkeys(("members", "members.value"), _MEMBERS),
    },
}
_DOCUMENT = DocumentSource()


def finder(about: About, *, hidden: tuple[str, ...] = ()) -> Callable[[Attribute], Source]:
    """Return what tells where the values of an attribute of people (or of groups) are.

    Memberships with what carries a source in `hidden` are not there.
    """
    columns = _COLUMNS[about]
    if hidden:
        columns = {name: _without(source, hidden) for name, source in columns.items()}
    return lambda attribute: columns.get(attribute.name, _DOCUMENT) if not _in_extension(attribute) else _DOCUMENT


def _without(source: Source, hidden: tuple[str, ...]) -> Source:
    return replace(source, hidden=hidden) if isinstance(source, MembershipSource) else source


def _in_extension(attribute: Attribute) -> bool:
    return bool(attribute.path) and attribute.path[0].startswith("urn:")


def _is_canonical_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
