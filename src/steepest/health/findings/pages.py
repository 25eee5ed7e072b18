"""The page of each rule, as Markdown: docs/health, which is a part of the package."""

from pathlib import Path

from steepest.errors import UnknownRuleError, did_you_mean
from steepest.health.findings.registry import rule_of, rules

_INSTALLED = Path(__file__).parent / "pages"
_IN_THE_REPOSITORY = Path(__file__).parents[4] / "docs" / "health"


def page_of(code: str) -> str:
    """The page of a rule, whatever the case of its code.

    Raises UnknownRuleError if there is no such rule.
    """
    name = code.strip().upper().replace("-", "_")
    known = rule_of(name)
    if known is None:
        raise UnknownRuleError(
            f"there is no rule {code!r}{did_you_mean(name, rules())}; `steepest explain rule` "
            "lists them"
        )
    return (_folder() / known.page).read_text(encoding="utf-8")


def _folder() -> Path:
    """Where the pages lie: installed beside this file, or in a checkout that runs in place."""
    return _INSTALLED if _INSTALLED.is_dir() else _IN_THE_REPOSITORY
