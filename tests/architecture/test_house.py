"""What import-linter cannot see: foreign keys and migrations point down, and the house rules of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

#: The floors of docs/map.md. Rooms on one floor do not know each other; nobody points at a higher floor.
FLOORS = {
    "core": 1,
    "ledger": 2,
    "identity": 3,
    "catalog": 4,
    "policy": 5,
    "provisioning": 5,
    "access": 6,
    "lifecycle": 7,
    "reviews": 8,
    "exceptions": 8,
    "evidence": 9,
    "notices": 9,
    "anchors": 10,
    "engagements": 10,
    "log_reviews": 10,
    "privacy": 10,
    "streams": 10,
    "web": 11,
    "api": 11,
    "demo": 11,
    "scim_bridge": 11,
    "config": 12,
}
ROOT: Path = settings.BASE_DIR
PACKAGES = (ROOT / "governance", ROOT / "scim_bridge")


def _sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted(package.rglob("*.py"))


def _said(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def _is_upward(from_label: str, to_label: str) -> bool:
    if from_label == to_label or to_label not in FLOORS:
        return False
    return from_label not in FLOORS or FLOORS[to_label] >= FLOORS[from_label]


def test_every_room_has_a_floor() -> None:
    ours = {app.label for app in apps.get_app_configs() if app.name.startswith(("governance.", "scim_bridge"))}

    assert ours <= set(FLOORS)


def test_foreign_keys_point_downward() -> None:
    wrong = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in FLOORS
        for field in model._meta.get_fields()
        if field.is_relation
        and field.concrete
        and field.related_model
        and not isinstance(field.related_model, str)
        and _is_upward(model._meta.app_label, field.related_model._meta.app_label)
    ]

    assert wrong == []


def test_migrations_depend_downward() -> None:
    wrong = [
        f"{label}.{name} -> {needed}"
        for (label, name), migration in MigrationLoader(None).disk_migrations.items()
        if label in FLOORS
        for needed, _ in migration.dependencies
        if _is_upward(label, needed)
    ]

    assert wrong == []


def test_migrations_import_no_application_code() -> None:
    wrong = [
        _said(path, node)
        for path in _sources()
        if path.parent.name == "migrations"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("governance", "scim_bridge"))
    ]

    assert wrong == []


def test_package_markers_are_empty() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in _sources() if path.name == "__init__.py" and path.stat().st_size]

    assert wrong == []


def test_no_function_imports() -> None:
    wrong = [
        _said(path, inner)
        for path in _sources()
        for outer in ast.walk(ast.parse(path.read_text()))
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef))
        for inner in ast.walk(outer)
        if isinstance(inner, (ast.Import, ast.ImportFrom))
    ]

    assert wrong == []


def test_only_config_reads_the_environment() -> None:
    wrong = [
        _said(path, node)
        for path in _sources()
        if path.parts[len(ROOT.parts) + 1] != "config"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "getenv"}
    ]

    assert wrong == []


def test_rooms_do_not_talk_by_signals() -> None:
    wrong = [
        _said(path, node)
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "django.dispatch"
    ]

    assert wrong == []
