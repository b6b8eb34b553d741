"""Shared fixtures of all tests: the database and the cast."""

import pytest

from governance.catalog.models import Application, Entitlement
from governance.identity.models import Person
from tests import cast

pytest_plugins = ["tests.browser", "tests.plugin_database", "tests.ledger.plugin_flush"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest."""
    items.sort(key=lambda item: item.path.parent.name != "journeys")


@pytest.fixture
def grace(db: None) -> Person:
    """Ada's manager."""
    return cast.hire("Grace Hopper", title="Engineering manager")


@pytest.fixture
def ada(grace: Person) -> Person:
    """An employee."""
    return cast.hire("Ada Lovelace", manager=grace, title="Engineer")


@pytest.fixture
def linus(db: None) -> Person:
    """The owner of applications."""
    return cast.hire("Linus Berg", title="Data platform lead", department="Data")


@pytest.fixture
def sam(db: None) -> Person:
    """The security administrator."""
    return cast.make_security_admin(cast.hire("Sam Okoro", title="Security engineer", department="Security"))


@pytest.fixture
def audrey(db: None) -> Person:
    """The auditor."""
    return cast.make_auditor(cast.hire("Audrey Stone", title="Auditor", department="External", person_type="Auditor"))


@pytest.fixture
def mallory(db: None) -> Person:
    """Somebody without a role, a manager or an application: an outsider to every story."""
    return cast.hire("Mallory Grey", title="Contractor", department="Marketing", person_type="Contractor")


@pytest.fixture
def snowflake(linus: Person) -> Application:
    """An application that Linus owns."""
    return cast.add_application("Snowflake", owner=linus)


@pytest.fixture
def analyst(snowflake: Application) -> Entitlement:
    """A role in Snowflake that its owner decides about."""
    return cast.add_role(snowflake, "Analyst")
