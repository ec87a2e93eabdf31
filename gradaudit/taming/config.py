"""``gradaudit.toml``, or ``[tool.gradaudit]`` in ``pyproject.toml``.

The nearest one above the working directory counts, and none above that.  Whatever it says that
cannot be meant is refused in one sentence, with the nearest right spelling.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gradaudit.model.findings import SEVERITIES, Severity
from gradaudit.rules.lookup import UnknownRule
from gradaudit.taming.settings import Ignore, Settings, codes_of

_OWN, _SHARED = "gradaudit.toml", "pyproject.toml"
_TABLES = ("severity", "ignore-parameters", "ignore-files")


class ConfigError(ValueError):
    """A file that cannot be meant as it stands; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Config:
    """``options`` are those of ``run``, as written; ``settings`` is all that no option says."""

    path: Path
    options: Mapping[str, object]
    settings: Settings


def find_config(directory: Path, options: Collection[str]) -> Config | None:
    """Read the nearest file above a directory; ``options`` are the names that ``run`` knows."""
    for above in (directory, *directory.parents):
        for name in (_OWN, _SHARED):
            table = _table(above / name)
            if table is not None:
                return _config(above / name, table, options)
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """Offer the nearest right spelling, or all of them."""
    spellings = sorted(known)
    for close in difflib.get_close_matches(word, spellings, n=1):
        return f"did you mean {close!r}?"
    return f"there are {', '.join(spellings)}"


def _table(path: Path) -> dict[str, Any] | None:
    """Read our part of a file, if it has one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"Cannot read {str(path)!r}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"Cannot read {str(path)!r}: it is not UTF-8.") from None
    if path.name == _OWN:
        return _parsed(text, path)
    if "gradaudit" not in text:  # whatever else is wrong with it is not for us to say
        return None
    table = _parsed(text, path).get("tool", {}).get("gradaudit")
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{str(path)!r}: tool.gradaudit is no table.")
    return table


def _parsed(text: str, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{str(path)!r} is not TOML: {error}.") from None


def _config(path: Path, table: dict[str, Any], options: Collection[str]) -> Config:
    reader = _Reader(path)
    for key in table:
        if key not in options and key not in _TABLES:
            reader.refuse(f"there is no option {key!r}: {nearest(key, (*options, *_TABLES))}")
    settings = Settings(
        severity=reader.severities(table.get("severity", {})),
        parameters=reader.ignores(table, "ignore-parameters", "parameters"),
        files=reader.ignores(table, "ignore-files", "files"),
        source=path.name,
        root=str(path.parent),
    )
    return Config(path, {key: table[key] for key in table if key in options}, settings)


class _Reader:
    """Checks what stands in a file; all it refuses, it refuses with the file's name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refuse(self, problem: str) -> NoReturn:
        raise ConfigError(f"{str(self._path)!r}: {problem}{'' if problem.endswith('?') else '.'}")

    def severities(self, table: object) -> tuple[tuple[str, Severity], ...]:
        if not isinstance(table, dict):
            self.refuse("severity is a table of rules and their severities")
        told = []
        for rule, severity in table.items():
            if severity not in SEVERITIES:
                known = nearest(str(severity), SEVERITIES)
                self.refuse(f"there is no severity {severity!r}: {known}")
            told.append((self._codes([rule], "severity")[0], severity))
        return tuple(told)

    def ignores(self, table: dict[str, Any], key: str, subject: str) -> tuple[Ignore, ...]:
        items = table.get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            self.refuse(f"{key} is a list of tables: write [[{self._prefix()}{key}]]")
        return tuple(self._ignore(item, key, subject) for item in items)

    def _ignore(self, item: dict[str, Any], key: str, subject: str) -> Ignore:
        known = (subject, "rules", "reason")
        for name in item:
            if name not in known:
                self.refuse(f"{key} has no {name!r}: {nearest(name, known)}")
        globs = self._texts(item.get(subject, []), f"{subject} of {key}")
        reason = item.get("reason")
        if not globs:
            self.refuse(f'{key} names no {subject}: write {subject} = ["…"]')
        if not isinstance(reason, str) or not reason.strip():
            self.refuse(f'{key} gives no reason: write reason = "…"')
        rules = self._codes(self._texts(item.get("rules", []), f"rules of {key}"), key)
        return Ignore(globs, rules, reason.strip())

    def _texts(self, value: object, what: str) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            self.refuse(f"{what} are a list of texts")
        return tuple(texts)

    def _codes(self, spellings: Iterable[str], where: str) -> tuple[str, ...]:
        try:
            return codes_of(spellings)
        except UnknownRule as unknown:
            self.refuse(f"in {where} {unknown}")

    def _prefix(self) -> str:
        return "" if self._path.name == _OWN else "tool.gradaudit."
