"""The cases beside the tables, run as `dragoman test` runs them."""

from __future__ import annotations

import pytest

from mapper import cases
from tests.mappings import tables
from wiring.partners import Profiles

SUITES = cases.run_folder(tables.library(), tables.MAPPINGS, Profiles(tables.library().partners))
RESULTS = [(suite.file, result) for suite in SUITES for result in suite.results]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.file)
def test_the_file_of_cases_is_sound(suite: cases.Suite) -> None:
    assert [str(problem) for problem in suite.problems] == []
    assert suite.results


@pytest.mark.parametrize(("file", "result"), RESULTS, ids=[f"{file}-{result.name}" for file, result in RESULTS])
def test_case(file: str, result: cases.CaseResult) -> None:
    assert [f"{each.row} {each.what}: {each.expected} but {each.actual}" for each in result.mismatches] == []


def test_there_are_at_least_sixty_cases() -> None:
    assert len(RESULTS) >= 60
