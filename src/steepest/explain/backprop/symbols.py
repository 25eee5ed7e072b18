"""Symbols and formulas of a ledger: written once in LaTeX, shown in plain characters too."""

import re
from dataclasses import dataclass

_WORDS = {
    r"\top": "ᵀ",
    r"\odot": "⊙",
    r"\oslash": "÷",
    r"\cdot": "·",
    r"\sigma": "σ",
    r"\varphi": "φ",
    r"\Phi": "Φ",
    r"\gamma": "γ",
    r"\beta": "β",
    r"\mu": "μ",
    r"\nu": "v",
    r"\varepsilon": "ε",
    r"\alpha": "α",
    r"\lambda": "λ",
    r"\pi": "π",
    r"\le": "≤",
    r"\times": "×",
    r"\left": "",
    r"\right": "",
    r"\quad": "  ",
    r"\,": " ",
    r"\sum": "Σ",
    r"\exp": "exp",
    r"\log": "log",
    r"\tanh": "tanh",
    r"\max": "max",
    r"\min": "min",
    r"\operatorname": "",
    r"\mathrm": "",
    r"\prime": "'",
}
_SIMPLE = r"[^\s{}()/=+]+"


@dataclass(frozen=True)
class Symbol:
    """A quantity of the ledger, as Z1: its letter, the number of its layer, and marks if needed."""

    letter: str
    number: int | None = None
    marks: int = 0

    @property
    def name(self) -> str:
        """In plain characters, as Z1."""
        number = "" if self.number is None else str(self.number)
        return f"{plain(self.letter)}{number}{chr(39) * self.marks}"

    @property
    def latex(self) -> str:
        """In LaTeX, as Z^{(1)}."""
        if self.number is None and not self.marks:
            return self.letter
        return f"{self.letter}^{{{self._above}}}"

    @property
    def transposed(self) -> str:
        r"""The LaTeX of its transpose, W^{(1)\top}."""
        return f"{self.letter}^{{{self._above}\\top}}"

    @property
    def gradient(self) -> str:
        """The LaTeX of dL/d of it."""
        return rf"\frac{{\partial L}}{{\partial {self.latex}}}"

    @property
    def gradient_name(self) -> str:
        """dL/d of it in plain characters, as dL/dZ1."""
        return f"dL/d{self.name}"

    @property
    def _above(self) -> str:
        number = "" if self.number is None else f"({self.number})"
        return number + r"\prime" * self.marks


def plain(latex: str) -> str:
    r"""A formula of ours in plain characters: Z^{(1)} = X W^{(1)\top} becomes Z1 = X W1ᵀ."""
    text = re.sub(r"\^\{((?:\(\d+\))?(?:\\prime)*)(\\top)?\}", _superscript, latex)
    text = re.sub(r"\\hat\{?(\w+)\}?", "\\1\u0302", text)
    text = re.sub(r"\\operatorname\{([a-z]+)\}|\\mathrm\{([a-zA-Z0-9]+)\}", r"\1\2", text)
    previous = ""
    while previous != text:  # from the innermost braces outwards
        previous = text
        text = re.sub(r"\\frac\{\\partial L\}\{\\partial ([^{}]+)\}", r"dL/d\1", text)
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", _fraction, text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", text)
        text = re.sub(r"\\mathbf\{1\}", "1", text)
        text = re.sub(r"_\{([^{}]*)\}", r"_\1", text)
        text = re.sub(r"\^\{([^{}]*)\}", r"^\1", text)
    for word in sorted(_WORDS, key=len, reverse=True):
        text = text.replace(word, _WORDS[word])
    text = text.replace("_i=1^N", "ᵢ").replace("_j", "ⱼ").replace("_i", "ᵢ")
    text = text.replace("^2", "²").replace("^3", "³").replace("^ᵀ", "ᵀ")
    return re.sub(r" {2,}(?=\S)", " ", text).replace(" )", ")").replace("( ", "(").strip()


def _superscript(match: re.Match[str]) -> str:
    digits = re.sub(r"[()]", "", match[1]).replace(r"\prime", "'")
    return digits + ("ᵀ" if match[2] else "")


def _fraction(match: re.Match[str]) -> str:
    over, under = (
        part if re.fullmatch(_SIMPLE, part.strip()) else f"({part})" for part in match.groups()
    )
    return f"{over}/{under}"
