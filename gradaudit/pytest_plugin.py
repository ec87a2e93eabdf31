"""Audit what a test trains: the marker ``gradaudit``, the fixture ``gradient_audit``.

Every run of pytest in the environment imports this module, so it imports nothing but pytest; a run
that uses neither of the two pays for nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradaudit.embed.audit import Audit

_OPTIONS = {"fail_on": "error", "select": (), "ignore": ()}

_AUDIT: pytest.StashKey[Audit] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "gradaudit(*, fail_on='error', select=(), ignore=()): audit the gradients of what the test "
        "trains, and fail it on findings as severe as fail_on, or more ('never' for none)",
    )


@pytest.fixture
def gradient_audit(request: pytest.FixtureRequest) -> Audit:
    """Audit the gradients of what the test trains, as the marker does, and let it ask about them.

    The audit begins and ends with the test's own call; an assertion on it ends it before that.
    """
    return _audit_of(request.node)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Audit the call of a test that asks for it, and fail it unless it has failed by itself."""
    if _AUDIT not in item.stash and item.get_closest_marker("gradaudit") is None:
        return (yield)
    audit = _audit_of(item)
    _begin(audit, item)
    try:
        result = yield
    except BaseException as error:
        if audit.under_way:
            audit.end(error)
            _add_section(item, audit)
        raise
    audit.end()
    told = _problem_of(audit, item)
    if told is not None:
        raise _refusal(told)
    return result


def _audit_of(item: pytest.Item) -> Audit:
    """The audit of a test, made when it is first asked for."""
    if _AUDIT not in item.stash:
        from gradaudit.embed.audit import audit

        options = _options(item)
        try:
            item.stash[_AUDIT] = audit(select=options["select"], ignore=options["ignore"])
        except ValueError as problem:
            raise _refusal(f"@pytest.mark.gradaudit: {problem}") from None
    return item.stash[_AUDIT]


def _options(item: pytest.Item) -> dict[str, Any]:
    """What the nearest marker says; a mistake in it is told in one sentence."""
    marker = item.get_closest_marker("gradaudit")
    given = {} if marker is None else marker.kwargs
    unknown = [*map(repr, marker.args if marker else ()), *(given.keys() - _OPTIONS.keys())]
    if unknown:
        takes = ", ".join(_OPTIONS)
        raise _refusal(f"@pytest.mark.gradaudit takes {takes} by name, not {', '.join(unknown)}")
    return {**_OPTIONS, **given}


def _refusal(sentence: str) -> BaseException:
    """What fails a test with a text and no traceback."""
    return pytest.fail.Exception(sentence, pytrace=False)


def _problem_of(audit: Audit, item: pytest.Item) -> str | None:
    try:
        audit.assert_clean(_options(item)["fail_on"])
    except ValueError as problem:
        return f"@pytest.mark.gradaudit: {problem}"
    except (AssertionError, RuntimeError) as problem:
        return str(problem)
    return None


def _begin(audit: Audit, item: pytest.Item) -> None:
    from gradaudit.embed.place import AuditError, Place

    _, line, _ = item.location
    try:
        audit.begin(Place(str(item.path), (line or 0) + 1))
    except AuditError as problem:
        raise _refusal(str(problem)) from None


def _add_section(item: pytest.Item, audit: Audit) -> None:
    """A test that failed may have done so for what was found."""
    from gradaudit.embed.assertions import complaint

    told = complaint(audit.report, "warning")
    if told is not None:
        item.add_report_section("call", "gradient audit", told)
