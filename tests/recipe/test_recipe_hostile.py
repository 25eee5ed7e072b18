"""A recipe of a stranger is read in little time: the work is bounded, not measured."""

import pytest

from steepest.errors import RecipeError
from steepest.recipe import Recipe


@pytest.mark.parametrize(
    "text",
    [
        *("a" + ".a" * 20_000 + " = 1", "[" + "a . " * 9_000 + "a]", "[[" + "a." * 9_000 + "a]]"),
        *('"x"' + '."="' * 9_000 + " = 1", "groups = {'#'" + ".'#'" * 9_000 + " = 1}"),
    ],
)
def test_a_key_of_thousands_of_parts_is_refused_before_it_is_read(text, monkeypatch):
    monkeypatch.setattr("tomllib.loads", lambda text: pytest.fail("read"))
    with pytest.raises(RecipeError, match=r"strange.toml has a key of more than 100 parts"):
        Recipe.from_toml(text, "strange.toml")


def test_an_enormous_text_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("tomllib.loads", lambda text: pytest.fail("read"))
    with pytest.raises(RecipeError, match="it is no recipe"):
        Recipe.from_toml("x" * (2**20 + 1))


def test_of_thousands_of_unknown_settings_the_first_few_are_told():
    with pytest.raises(RecipeError, match="and 7990 further unknown settings") as raised:
        Recipe.from_toml("\n".join(f"a{i} = 1" for i in range(8_000)))
    assert str(raised.value).count("unknown setting '") == 10


def test_dots_in_words_comments_and_numbers_are_no_key():
    dots = "." * 500
    text = f'''# {dots}
    data = """a\n{dots}\n"""
    target = "a\\"{dots}"
    ignore = ['{dots}']
    class_weight = [{", ".join(["1.5"] * 500)}]
    '''
    recipe = Recipe.from_toml(text)
    assert recipe.target == 'a"' + dots
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_a_number_of_thousands_of_digits_is_refused():
    with pytest.raises(RecipeError, match=r"strange.toml is not valid TOML: .*4300"):
        Recipe.from_toml("epochs = " + "9" * 5_000, "strange.toml")


@pytest.mark.parametrize("text", ["seed = 0x" + "f" * 9_000, "ignore = [" + "[]," * 9_000 + "]",
                                  "a" * 9_000 + " = 1"])  # fmt: skip
def test_of_a_long_value_the_beginning_is_told(text):
    with pytest.raises(RecipeError) as raised:
        Recipe.from_toml(text)
    assert len(str(raised.value)) < 2_000


def test_strings_that_do_not_end_are_looked_at_once():
    """Each of these quotes would begin a string of its own that goes to the end."""
    with pytest.raises(RecipeError, match="is not valid TOML: Unterminated string"):
        Recipe.from_toml('data = "' + '\\"' * 400_000)
