"""Conditions in words that somebody who never saw a filter expression reads one way only."""

from __future__ import annotations

import pytest

from governance.identity.conditions.language import about_people
from governance.identity.conditions.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('department eq "Finance"', "department is “Finance”"),
        ('department ne "Finance"', "department is not “Finance”"),
        (
            'department eq "Finance" and not (userType eq "Contractor")',
            "department is “Finance” and type of person is not “Contractor”",
        ),
        (
            '(title co "lead" or title sw "head") and department eq "Data"',
            "(title contains “lead” or title begins with “head”) and department is “Data”",
        ),
        (
            'title eq "A" or title eq "B" and department eq "Data"',
            "title is “A” or (title is “B” and department is “Data”)",
        ),
        ('groups.display co "crew"', "one of the groups contains “crew”"),
        ('groups.display eq "Crew"', "groups include “Crew”"),
        ('not (groups.display eq "Crew")', "groups do not include “Crew”"),
        ("title pr", "there is a title"),
        ("not (title pr)", "there is no title"),
        ("title eq null", "there is no title"),
        ("title ne null", "there is a title"),
        ("groups pr", "there are groups"),
        ("groups eq null", "there are no groups"),
        ("active eq true", "active is true"),
        ("active eq false", "active is false"),
        ('employeeNumber ew "7"', "employee number ends with “7”"),
        ('meta.created gt "2026-01-01T00:00:00Z"', "meta created is after “2026-01-01 00:00:00+00:00”"),
        ('title ge "M"', "title is not before “M” in the alphabet"),
        (
            'emails[type eq "work" and value co "@"]',
            "one of the e-mails has (emails type is “work” and e-mails contains “@”)",
        ),
        ('not (title co "x" or title co "y")', "not (title contains “x” or title contains “y”)"),
        ('department eq "<b>"', "department is “<b>”"),
    ],
)
def test_a_condition_in_words(text: str, words: str) -> None:
    assert words_of(about_people(text).term) == words
