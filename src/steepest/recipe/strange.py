"""What is no recipe, told before it is read: the text may come from a stranger."""

import re

from steepest.errors import RecipeError

# A recipe is small, and tomllib's work grows with the square of the parts of a dotted key.
_MOST_CHARACTERS, _MOST_DOTS, _MOST_SHOWN = 2**20, 100, 500
# One that does not end goes to the end of its line, or of the text: each character is met once.
_STRINGS_AND_COMMENTS = re.compile(
    r'''"""(?:\\[\s\S]|[^\\])*?(?:"""|\Z)|\'{3}[\s\S]*?(?:\'{3}|\Z)'''
    r"""|"(?:\\.|[^"\\\n])*+"?|\'[^\'\n]*\'?|#[^\n]*"""
)


def require_readable(text: str, source: str) -> None:
    """Raise RecipeError for a text that would take long to read and is no recipe."""
    if len(text) > _MOST_CHARACTERS:
        raise RecipeError(f"{source} has {len(text):,} characters: it is no recipe")
    bare = _STRINGS_AND_COMMENTS.sub("_", text)
    if any(part.count(".") > _MOST_DOTS for part in re.split(r"[,=\[\]{}\n]", bare)):
        raise RecipeError(f"{source} has a key of more than {_MOST_DOTS} parts: it is no recipe")


def shown(value: object) -> str:
    """A value in a message, the beginning of it if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
