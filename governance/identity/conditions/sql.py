"""A condition as SQL, for sets: `Person.objects.filter(matching(condition))`. The twin of `predicate`.

Attributes that have a column read the column, `groups` and `members` ask the membership table, and all others read
the document. Every literal and every key is a bound parameter; the SQL text itself is made of constants of this
package only. Each fragment is true or false, never NULL, so that `not` means what it says; only an attribute of
another type of resource is NULL, so that neither it nor its negation selects anything.
"""

from __future__ import annotations

from string import Formatter
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, F, Field
from django.db.models.sql.compiler import SQLCompiler

from governance.identity.conditions.columns import finder
from governance.identity.conditions.fragments import compiled
from governance.identity.conditions.terms import Condition


def matching(condition: Condition, *, hidden: tuple[str, ...] = ()) -> Matching:
    """Return the condition as a boolean expression over Person (or Group) for `filter`, `exclude` and `annotate`.

    Memberships with what carries a source in `hidden` do not count; the rows themselves are the caller's to choose.
    """
    fragment = compiled(condition.term, finder(condition.about, hidden=hidden))
    return Matching(fragment.sql, fragment.params)


class Template(Expression):
    """A SQL expression whose `{field}` places are fields of the model that is queried."""

    def __init__(self, template: str, params: tuple[Any, ...], output_field: Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.template = template
        self.params = params
        names = dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name)
        self.fields: dict[str, Any] = {name: F(name) for name in names}

    def get_source_expressions(self) -> list[Any]:
        """Return the fields, for Django to resolve."""
        return list(self.fields.values())

    def set_source_expressions(self, exprs: Any) -> None:
        """Take the resolved fields back, in the same order."""
        self.fields = dict(zip(self.fields, exprs, strict=True))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL with the columns filled in, and the parameters."""
        columns = {name: compiler.compile(field)[0] for name, field in self.fields.items()}
        return f"({self.template.format(**columns)})", self.params


class Matching(Template):
    """A condition, true or false for each row."""

    def __init__(self, template: str, params: tuple[Any, ...]) -> None:
        super().__init__(template, params, BooleanField())
