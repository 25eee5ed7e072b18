"""Lines of code that are too long, cut where a formatter cuts them."""

from collections.abc import Iterator

WIDTH = 100


def wrapped(line: str) -> Iterator[str]:
    """A line, or the lines that a call or a list becomes which is too long for one."""
    place = None if len(line) <= WIDTH else _last_brackets(line)
    if place is None:
        yield line
        return
    begin, end = place
    indent = " " * (len(line) - len(line.lstrip()))
    inner = f"{indent}    {line[begin + 1 : end]}"
    if len(inner) > WIDTH:
        yield from one_a_line(line)
    else:
        yield from (line[: begin + 1], inner, indent + line[end:])


def one_a_line(line: str) -> Iterator[str]:
    """The items of the brackets that a line ends with, each on a line of its own."""
    place = _last_brackets(line)
    assert place is not None
    begin, end = place
    indent = " " * (len(line) - len(line.lstrip()))
    yield line[: begin + 1]
    for item in _items(line[begin + 1 : end]):
        yield from wrapped(f"{indent}    {item},")
    yield indent + line[end:]


def _last_brackets(line: str) -> tuple[int, int] | None:
    """Where the brackets begin and end that close a line, a comma behind them or not."""
    opened: list[int] = []
    pair = None
    for i, sign in _outside_text(line):
        if sign in "([{":
            opened.append(i)
        elif sign in ")]}":
            pair = opened.pop(), i
    return pair if pair is not None and line[pair[1] + 1 :] in ("", ",") else None


def _items(text: str) -> Iterator[str]:
    """What stands between the commas of a text that are in no brackets of their own."""
    depth = begin = 0
    for i, sign in _outside_text(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            yield text[begin:i].strip()
            begin = i + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def _outside_text(line: str) -> Iterator[tuple[int, str]]:
    """The signs of a line of code that stand in no string, with their places."""
    quote, escaped = "", False
    for i, sign in enumerate(line):
        if quote:
            ends, escaped = sign == quote and not escaped, sign == "\\" and not escaped
            quote = "" if ends else quote
        elif sign in "\"'":
            quote = sign
        else:
            yield i, sign
