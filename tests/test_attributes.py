"""Every attribute of an object is declared where the object is made."""

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[1] / "src" / "steepest").rglob("*.py"))
MADE_IN = ("__init__", "__new__", "__post_init__")


def declared_in(cls):
    """Names in the body of a class, properties with a setter, and what its constructor assigns."""
    names = set()
    for statement in cls.body:
        if isinstance(statement, ast.AnnAssign | ast.Assign):
            targets = getattr(statement, "targets", None) or [statement.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.FunctionDef) and statement.name in MADE_IN:
            names |= assigned_in(statement)
        elif isinstance(statement, ast.FunctionDef) and sets(statement):
            names.add(statement.name)
    return names


def sets(function):
    """Whether it is the setter of a property."""
    return any(ast.unparse(d) == f"{function.name}.setter" for d in function.decorator_list)


def assigned_in(function):
    return {
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def classes_in(text):
    return {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}


EVERYWHERE = {
    name: cls for path in SOURCES for name, cls in classes_in(path.read_text("utf-8")).items()
}


def lineage(cls, classes):
    """The class and all that it is made of, as far as they are known."""
    yield cls
    for base in cls.bases:
        if isinstance(base, ast.Name) and classes.get(base.id, cls) is not cls:
            yield from lineage(classes[base.id], classes)


def late_attributes(text):
    own = classes_in(text)
    classes = EVERYWHERE | own
    for name, cls in own.items():
        declared = set().union(*map(declared_in, lineage(cls, classes)))
        for method in cls.body:
            if isinstance(method, ast.FunctionDef):
                late = {a for a in assigned_in(method) - declared if not (fits(cls) and fitted(a))}
                yield from (f"{name}.{a}" for a in sorted(late))


def fits(cls):
    """Whether it is an estimator of scikit-learn."""
    return any(ast.unparse(base) in ("BaseEstimator", "ChecksInputs") for base in cls.bases)


def fitted(attribute):
    """What scikit-learn wants absent before `fit`, and names so: `classes_`."""
    return attribute.endswith("_") and not attribute.endswith("__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_attribute_appears_later(path):
    assert list(late_attributes(path.read_text("utf-8"))) == []


def test_one_that_does_is_seen():
    text = "class A:\n    def __init__(self): self.a = 1\n    def f(self): self.a = self.b = 2"
    assert list(late_attributes(text)) == ["A.b"]
