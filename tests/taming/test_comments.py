from __future__ import annotations

import pytest

from gradaudit.taming.comments import Comment, comments_in


@pytest.mark.parametrize(
    ("text", "rules", "reason"),
    [
        ("x = 1  # gradaudit: ignore[GA202] it is meant", ("GA202",), "it is meant"),
        ("x = 1  #gradaudit:ignore[GA201,GA401]", ("GA201", "GA401"), ""),
        ("x  # noqa: E501 # gradaudit: ignore[ga201]: by hand", ("GA201",), "by hand"),
        ("x  # gradaudit: ignore[graph-cut] because # noqa", ("GA102",), "because"),
    ],
)
def test_rules_and_reasons(text, rules, reason, monkeypatch):
    from gradaudit.rules import catalogue

    class GA202:
        code, name = "GA202", "partial-zero-grad"

    monkeypatch.setattr(catalogue, "RULES", (*catalogue.RULES, GA202))
    assert comments_in("a.py", f"\n{text}\n") == (Comment("a.py", 2, rules, reason),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# gradaudit: ignore[GA2O1]", "there is no rule 'GA2O1': did you mean GA201"),
        ("# gradaudit: ignore", "it names no rule"),
        ("# gradaudit: ignore[] why", "it names no rule"),
    ],
)
def test_what_cannot_be_followed_says_why(text, problem):
    (comment,) = comments_in("a.py", text)
    assert comment.rules == ()
    assert comment.problem.startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        "x = '# gradaudit: ignore[GA201]'\n",
        "# gradaudit ignores GA201\n",
        "# gradaudit: ignored[GA201]\n",
        "def f(:\n  gradaudit:\n ]",
        "gradaudit: \x00",
        "",
    ],
)
def test_what_is_no_comment_of_ours(text):
    assert comments_in("a.py", text) == ()
