"""What no template may say, and what every style sheet keeps to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SENDS = re.compile(r"\bhx-(get|post|put|patch|delete)=")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT / "templates"))


def tags(path: Path) -> list[str]:
    """Return the opening tags; template tags inside of them are taken out first, as they may hold a `>`."""
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    return re.findall(r"<[a-zA-Z][^<>]*>", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_can_be_read(path: Path) -> None:
    get_template(name(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_has_nothing_inline(path: Path) -> None:
    for tag in tags(path):
        assert not re.search(r"\sstyle=", tag), tag
        assert not re.search(r"\son[a-z]+=", tag), tag
        assert not re.search(r"\shx-on\b", tag), tag
        assert "javascript:" not in tag, tag
        assert "js:" not in tag, tag
        assert not re.search(r"hx-trigger=\"[^\"]*\[", tag), tag
        assert not re.match(r"<script(?![^>]*\ssrc=)", tag), tag
        assert not tag.startswith("<style"), tag


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_only_what_sends_has_a_target(path: Path) -> None:
    for tag in tags(path):
        if re.search(r"\shx-(target|swap|sync|confirm|push-url|replace-url)=", tag):
            is_answer = tag.startswith("<hx-partial")
            assert is_answer or SENDS.search(tag), tag


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_what_htmx_sends_works_without_it(path: Path) -> None:
    """A link has its address, a button its formaction, a form its action; polls and groups of fields are fine."""
    for tag in tags(path):
        if tag.startswith("<a ") and SENDS.search(tag):
            assert " href=" in tag, tag
        if tag.startswith("<form ") and SENDS.search(tag):
            assert " action=" in tag, tag
        if tag.startswith("<button ") and SENDS.search(tag):
            assert " formaction=" in tag, tag


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_post_form_has_its_token(path: Path) -> None:
    text = path.read_text()

    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, flags=re.DOTALL):
        assert "{% csrf_token %}" in form, form[:120]


@pytest.mark.parametrize("path", sorted((ROOT / "static" / "css").glob("*.css")), ids=lambda path: path.name)
def test_a_style_sheet_has_one_declaration_a_line_and_no_foreign_address(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)

    assert not [line for line in text.splitlines() if re.search(r";\s*[\w-]+\s*:", line)]
    assert not re.search(r"https?:", text)


def test_every_icon_that_templates_name_is_in_the_sprite() -> None:
    known = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))

    named = {
        icon
        for path in TEMPLATES
        for icon in re.findall(r"(?:c-icon name|icon)=\"([a-z0-9-]+)\"", path.read_text())
        + re.findall(r"icons\.svg' %\}#([a-z0-9-]+)", path.read_text())
    }

    assert named - known == set()


_JARGON = re.compile(
    r"\b(entitlements?|provision\w*|deprovision\w*|principals?|JIT|SoD|UAR|certif\w+)\b", re.IGNORECASE
)


@pytest.mark.parametrize("folder", ["my_work", "account", "notices"])
def test_pages_for_employees_and_reviewers_speak_plainly(folder: str) -> None:
    """Keycloak 41351 and midPoint's user stories: governance that talks as its own code does."""
    said = {
        name(path): _JARGON.findall(re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL))
        for path in (ROOT / "templates" / folder).rglob("*.*")
    }

    assert said
    assert {name: words for name, words in said.items() if words} == {}
