"""Decimal commas are read as numbers; what can be read in two ways is refused with the fix."""

import json

import numpy as np
import polars as pl
import pytest

from steepest.data import Classes, Preprocessing, load_data, load_rows
from steepest.errors import DataError, TargetError


@pytest.fixture
def write(tmp_path):
    def write(columns, name="t.csv", separator=";"):
        rows = zip(*columns.values(), strict=True)
        lines = [separator.join(map(str, row)) for row in (columns, *rows)]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def commas(values):
    return [str(value).replace(".", ",") for value in values]


X = [0.5 + i * 1.25 for i in range(60)]
Y = ["a", "b"] * 30


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_they_are_numbers_beside_dates_and_words(write, separator):
    quoted = [f'"{x}"' for x in commas(X)]
    columns = {
        "x": quoted if separator == "," else commas(X),
        "day": [f"2020-01-{1 + i % 28:02}" for i in range(60)],
        "city": ['"Praha, Brno"', '"Brno"'] * 30,
        "whole": range(60),
        "point": [f"{i}.5" for i in range(60)],
        "y": Y,
    }
    path = write(columns, separator=separator)
    data = load_data(path, target="y")
    frame = data.train.inputs
    assert frame.dtypes == [pl.Float64, pl.Date, pl.String, pl.Int64, pl.Float64]
    assert frame["x"].to_list() == X
    assert set(frame["city"]) == {"Praha, Brno", "Brno"}
    assert data.notes == ("t.csv: numbers with decimal commas in x",)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (["1,5", "2", "-3,25", "+4,", ",5"], None),
        (["1,5", "2", "-3,25", "+4,0", ",5"], [1.5, 2, -3.25, 4, 0.5]),
        (["1,5e3", "2E-1"], [1500, 0.2]),
        (["1,234", "0,125"], [1.234, 0.125]),
        (["1,234", "1234,5"], [1.234, 1234.5]),
        (["1,234", "12345"], [1.234, 12345]),
        (["1,5", "", "NA", " 2,5 "], [1.5, None, None, 2.5]),
        (["1,2,3", "4,5"], None),
        (["1,5", "many"], None),
        (["777 123 456", "605 123 456"], None),
        (["01.02.2020", "15.11.2021"], None),
    ],
)
def test_a_column_is_numbers_if_all_of_it_is(write, text, values):
    column = load_data(write({"c": text * 4, "y": Y[: 4 * len(text)]}), target="y").train.inputs[
        "c"
    ]
    assert column.to_list() == (values or [t.strip() for t in text]) * 4


def test_another_column_tells_how_a_comma_is_meant(write):
    columns = {"c": ["1,234", "2,345"] * 10, "x": commas(X[:20]), "y": Y[:20]}
    assert load_data(write(columns), target="y").train.inputs["c"][0] == 1.234


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ["7", "1,234"],
            "line 3: column 'c' holds '1,234', which is one number with a decimal comma and another "
            "with a separator of thousands; write 1.234 or 1234",
        ),
        (
            ["1.5", "1,5"],
            "line 3: column 'c' holds '1,5', with a decimal comma, and '1.5' with a decimal point; "
            "write one of them",
        ),
        *(
            (
                ["0", value],
                f"line 3: column 'c' holds {value!r}, with a separator of thousands; write it without",
            )
            for value in (
                "1,234,567",
                "1,234.5",
                "1.234,5",
                "1 234,5",
                "1'234.5",
                "12 345",
                "1.234.567",
            )
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(write, text, message):
    path = write({"c": text * 10, "y": Y[:20]})
    with pytest.raises(DataError) as error:
        load_data(path, target="y")
    assert str(error.value) == f"{path}, {message}, or name the column in ignore"
    other = write({"c": text * 10, "x": X[:20], "y": Y[:20]})
    assert load_data(other, target="y", ignore="c").train.inputs.columns == ["x"]


def test_a_word_among_them_is_refused_with_its_line(write):
    path = write({"c": [*commas(X[:-1]), "1O,5"], "y": Y})
    with pytest.raises(
        DataError, match="line 61: column 'c' holds '1O,5' where 59 other rows hold n"
    ):
        load_data(path, target="y")


def test_later_files_are_read_with_the_mark_that_training_had(write):
    train = load_data(write({"c": commas(X), "n": range(60), "y": Y}), target="y").train
    fitted = Preprocessing.fit(train)
    fitted = Preprocessing.from_json(json.loads(json.dumps(fitted.to_json())))
    expected = fitted.prepare(train).array
    # Whole numbers alone, ones that would be doubtful alone, and a frame.
    for c, value in ((["3", "8"], [3, 8]), (["1,234", "2,500"], [1.234, 2.5]), (["1,5"], [1.5])):
        rows = load_rows(write({"c": c, "n": commas([0.5, 7.5][: len(c)])}, "later.csv"))
        found = fitted.prepare(rows).array
        frame = pl.DataFrame({"c": value, "n": [0.5, 7.5][: len(c)]}, strict=False)
        assert np.array_equal(found, fitted.prepare(load_rows(frame)).array)
    assert np.array_equal(
        fitted.prepare(load_rows(write({"c": commas(X), "n": range(60)}))).array, expected
    )
    path = write({"c": ["1,5", "1.234"], "n": [1, 2]}, "later.csv")
    with pytest.raises(DataError) as error:
        fitted.prepare(load_rows(path))
    assert str(error.value) == (
        f"{path}: column 'c' was numbers in training, but row 1 holds '1.234', with a decimal point, "
        "and training had decimal commas; write it with a comma"
    )


def test_commas_where_training_had_points_are_refused_in_every_file(write):
    fitted = Preprocessing.fit(load_data(write({"c": X, "n": X, "y": Y}), target="y").train)
    of_array = Preprocessing.fit(load_data((np.array([X, X]).T, Y)).train)
    for c in (["1,5"], ["1,5", "2"], ["1,234"]):
        path = write({"c": c, "n": range(len(c))}, "later.csv")
        for preprocessing in (fitted, of_array):
            with pytest.raises(DataError, match=r"row 0 holds '1,\d+', with a decimal comma, and"):
                preprocessing.prepare(load_rows(path))


def test_as_a_target_they_are_a_quantity_or_names(write):
    with pytest.raises(TargetError, match="is a quantity"):
        load_data(write({"c": X, "y": commas(X)}), target="y")
    train = load_data(write({"c": X, "y": ["1,5", "2,5"] * 30}), target="y").train
    assert Classes.of(train).values == ("1,5", "2,5")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("1,5;2,5;0\n2,5;3,5;1\n", ["column_1", "column_2", "column_3"]),
        ("1,5;2,5\n2,5;1\n", ["column_1", "column_2"]),
        ("price, EUR;weight, kg;y\n1,5;2;0\n2;3,5;1\n", ["price, EUR", "weight, kg", "y"]),
        ("a, b, c;y\n1,5;0\n2,5;1\n", ["a, b, c", "y"]),
        ("a,b;c,y\n1,2,0\n3,x;4,1\n", ["a", "b;c", "y"]),
    ],
)
def test_a_decimal_comma_is_not_taken_for_the_separator(tmp_path, text, columns):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert load_rows(path).inputs.columns == columns


@pytest.mark.parametrize(
    ("form", "looks"),
    [
        ("{}%", "numbers with a unit, such as '10%'; write them without"),
        ("{},5 €", "numbers with a unit, such as '10,5 €'; write them without"),
        ("$1,2{}.00", "numbers with a unit, such as '$1,210.00'; write them without"),
        ("EUR {}", "numbers with a unit, such as 'EUR 10'; write them without"),
        (
            "{}.12.2021",
            "dates as text, such as '10.12.2021'; make the column one of dates, or write them as "
            "2021-12-31",
        ),
        (
            "12/{}/99 10:00",
            "dates as text, such as '12/10/99 10:00'; make the column one of dates, or write them "
            "as 2021-12-31",
        ),
        ("A{}", ""),
        ("{}-12", ""),
        ("{} 123 {} 456", ""),
    ],
)
def test_words_that_look_like_numbers_or_dates_are_told_of(write, form, looks):
    words = [form.format(i, i) for i in range(10, 40)]
    told = f"column 'c' is taken as words, which look like {looks}"
    data = load_data(write({"c": words * 4, "x": X * 2, "y": Y * 2}, separator="\t"), target="y")
    assert Preprocessing.fit(data.train).encoder.notes == ((told,) if looks else ())


def test_numbers_beside_a_word_and_numbers_as_text_are_told_of(write):
    path = write({"c": [*range(50), *["-"] * 10], "x": X, "y": Y})
    notes = Preprocessing.fit(load_data(path, target="y").train).encoder.notes
    assert notes == (
        "column 'c' is taken as words, which look like numbers, beside '-'; leave it empty if it "
        "says that a value is missing",
    )
    frame = pl.DataFrame({"c": commas(X), "x": X, "y": Y})
    notes = Preprocessing.fit(load_data(frame, target="y").train).encoder.notes
    assert notes == (
        "column 'c' is taken as words, which look like numbers as text, such as '0,5'; make the "
        "column one of numbers",
    )
    many = pl.DataFrame({"c": [f"{i} %" for i in range(99)], "x": range(99), "y": [0, 1, 2] * 33})
    notes = Preprocessing.fit(load_data(many, target="y").train).encoder.notes
    assert notes == (
        "column 'c' is left out: 99 different words in 99 rows look like numbers with a unit, such "
        "as '0 %'; write them without",
    )
