from __future__ import annotations

import pytest

from gradaudit.taming.config import ConfigError, find_config
from gradaudit.taming.settings import Ignore

OPTIONS = ("json", "fail-on", "max-iterations", "select", "ignore")

FULL = """
fail-on = "warning"
select = ["GA102", "missing-zero-grad"]

[severity]
GA102 = "note"
missing-zero-grad = "error"

[[ignore-parameters]]
parameters = ["net.teacher.*", "ema.*"]
rules = ["not-in-optimizer"]
reason = "they follow the student"

[[ignore-files]]
files = "third_party/*"
reason = "not ours"
"""


def test_everything_is_read(tmp_path):
    (tmp_path / "gradaudit.toml").write_text(FULL)
    config = find_config(tmp_path, OPTIONS)
    assert config is not None
    assert config.path == tmp_path / "gradaudit.toml"
    assert config.options == {"fail-on": "warning", "select": ["GA102", "missing-zero-grad"]}
    settings = config.settings
    assert settings.severity == (("GA102", "note"), ("GA201", "error"))
    assert settings.parameters == (
        Ignore(("net.teacher.*", "ema.*"), ("GA401",), "they follow the student"),
    )
    assert settings.files == (Ignore(("third_party/*",), (), "not ours"),)
    assert (settings.source, settings.root) == ("gradaudit.toml", str(tmp_path))


def test_pyproject_has_it_in_a_table_of_ours(tmp_path):
    text = FULL.replace("[[", "[[tool.gradaudit.").replace("[sev", "[tool.gradaudit.sev")
    (tmp_path / "gradaudit.toml").write_text(FULL)
    own = find_config(tmp_path, OPTIONS)
    (tmp_path / "gradaudit.toml").unlink()
    (tmp_path / "pyproject.toml").write_text(f"[tool.ruff]\nx = 1\n[tool.gradaudit]\n{text}")
    shared = find_config(tmp_path, OPTIONS)
    assert own is not None
    assert shared is not None
    assert shared.options == own.options
    assert shared.settings.parameters == own.settings.parameters


def test_the_nearest_file_counts_and_ours_before_that_of_all(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "gradaudit.toml").write_text('json = "far"')
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'gradaudit-user'")
    assert find_config(inner, OPTIONS).options == {"json": "far"}
    (inner / "pyproject.toml").write_text("[tool.gradaudit]\njson = 'near'")
    assert find_config(inner, OPTIONS).options == {"json": "near"}
    (inner / "gradaudit.toml").write_text("json = 'own'")
    assert find_config(inner, OPTIONS).options == {"json": "own"}


def test_what_is_wrong_with_a_file_of_others_is_not_for_us_to_say(tmp_path):
    (tmp_path / "pyproject.toml").write_text("= broken")
    (tmp_path / "gradaudit.toml").write_text("")
    assert find_config(tmp_path, OPTIONS).options == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fail_on = 'error'", "there is no option 'fail_on': did you mean 'fail-on'?"),
        ("zzz = 1", "there is no option 'zzz': there are fail-on, ignore, "),
        ("severity = 1", "severity is a table of rules and their severities."),
        ("[severity]\nGA102 = 'eror'", "there is no severity 'eror': did you mean 'error'?"),
        ("[severity]\nGA1O2 = 'error'", "in severity there is no rule 'GA1O2': did you mean GA102"),
        ("ignore-files = 'x'", "ignore-files is a list of tables: write [[ignore-files]]."),
        ("[ignore-files]", "ignore-files is a list of tables: write [[ignore-files]]."),
        ("[[ignore-files]]\nfile = 'x'", "ignore-files has no 'file': did you mean 'files'?"),
        ("[[ignore-files]]\nreason = 'x'", "ignore-files names no files: write files = "),
        ("[[ignore-files]]\nfiles = 'x'", "ignore-files gives no reason: write reason = "),
        ("[[ignore-files]]\nfiles = 3", "files of ignore-files are a list of texts."),
        (
            "[[ignore-parameters]]\nparameters = 'x'\nreason = 'y'\nrules = ['zzz']",
            "in ignore-parameters there is no rule 'zzz': ",
        ),
        ("x = ", "is not TOML: "),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(tmp_path, text, said):
    (tmp_path / "gradaudit.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_config(tmp_path, OPTIONS)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "gradaudit.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        find_config(tmp_path, OPTIONS)
