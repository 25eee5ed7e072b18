"""The corners of CSV files: separators, blanks, short rows, strays, dates and line numbers."""

import datetime

import polars as pl
import pytest

from steepest.data import load_data, load_rows
from steepest.errors import DataError


@pytest.fixture
def csv(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def features(path, **options):
    return load_data(path, target="y", **options).train.inputs


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_cuts_the_header_into_most_fields(csv, separator):
    path = csv(separator.join(['"a, or; b"', "c", "y"]) + "\n" + separator.join("120") + "\n")
    assert features(path).columns == ["a, or; b", "c"]


def test_blanks_around_numbers_and_missing_markers_do_not_matter(csv):
    frame = features(csv("a , b, y\n 1, NA ,0\n2, 2.5,1\n ?,  3,0\n"))
    assert frame.columns == ["a", "b"]
    assert frame["a"].to_list() == [1, 2, None]
    assert frame["b"].to_list() == [None, 2.5, 3.0]


@pytest.mark.parametrize("marker", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"])
def test_the_usual_markers_count_as_missing(csv, marker):
    assert features(csv(f"a,y\n1,0\n{marker},1\n"))["a"].to_list() == [1, None]


def test_each_column_has_the_first_type_that_takes_all_its_values(csv):
    frame = features(
        csv(
            "i,f,b,d,t,s,big,y\n"
            "1,1,True,2020-02-29,2020-02-29 12:00:00,1,99999999999999999999,0\n"
            "2,1e3,false,2021-01-01,2020-03-01 12:00:00.5,x,1,1\n"
        )
    )
    assert frame.dtypes == [
        *(pl.Int64, pl.Float64, pl.Boolean, pl.Date, pl.Datetime("us"), pl.String, pl.Float64),
    ]
    assert frame["d"][0] == datetime.date(2020, 2, 29)


def test_the_type_of_a_column_may_depend_on_its_last_row(csv):
    path = csv("a,y\n" + "1,0\n" * 20_000 + "1.5,1\n")
    assert features(path)["a"].dtype == pl.Float64


def test_blank_lines_are_no_rows_but_rows_of_empty_fields_are(csv):
    assert features(csv("\na,b,y\n1,2,0\n\n  \n,,1\n\n3,4,0\n\n\n")).rows() == [
        (1, 2),
        (None, None),
        (3, 4),
    ]


def test_a_header_may_span_lines_and_leave_names_out(csv):
    assert features(csv('"a\nb",,y\n1,2,0\n')).columns == ["a\nb", "column_2"]


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(csv):
    assert features(csv(b"\xef\xbb\xbfa,y\r\n1,0\r\n2,1\r\n"))["a"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,0\n3,4\n5,6,1\n", "line 3 has 2 fields, but the first line has 3"),
        ("a,b,y\n1,2,0\n3,4,0,9\n5,6,1\n", "line 3 has 4 fields, but the first line has 3"),
        ('a,b,y\n"x\ny",2,0\n\n3,4\n', "line 5 has 2 fields, but the first line has 3"),
        ('a,b,y\n"1\n', "line 2 has 1 fields, but the first line has 3"),
        ("a,a,y\n1,2,0\n", "has two columns of the name 'a'; rename one"),
        (b"a,y\n1,0\n\xe9,1\n", "line 3 is not UTF-8"),
        (b"\xe9,y\n1,0\n", "line 1 is not UTF-8"),
        ("a,y\n", "has a header but no rows"),
        ("a,y\n\n\n", "has a header but no rows"),
        ("\n \n", "has no text in its first line"),
    ],
)
def test_a_broken_file_is_refused_with_the_line(csv, text, message):
    path = csv(text)
    with pytest.raises(DataError) as caught:
        load_data(path, target="y")
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def strayed(csv):
    rows = [f"{i},{i},{i % 2}" for i in range(200)]
    rows[150] = '1O,"150",0'
    return csv("a,b,y\n" + "\n".join(rows) + "\n")


def test_a_word_among_numbers_is_refused_with_its_line(csv):
    path = strayed(csv)
    with pytest.raises(DataError) as caught:
        load_data(path, target="y")
    assert str(caught.value) == (
        f"{path}, line 152: column 'a' holds '1O' where 199 other rows hold numbers; mend the "
        "value, leave it empty to count as missing, or name the column in ignore"
    )


def test_a_word_among_numbers_may_be_ignored_and_may_be_a_class(csv):
    path = strayed(csv)
    assert load_data(path, target="y", ignore=["a"]).train.inputs.columns == ["b"]
    assert load_data(path, target="a").train.labels[150] == "1O"


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("0,1,2\n5,6,7\n", ["0", "1", "2"], 1),  # pandas numbers columns without names
        (",0,1\n0,5,6\n1,7,8\n", ["column_1", "0", "1"], 2),
        ("0,1\n1,0\n", ["column_1", "column_2"], 2),  # as well a row as a header
        ("0,1,3\n1,0,2\n", ["column_1", "column_2", "column_3"], 2),
        (",1.5,2\n1,0,2\n", ["column_1", "column_2", "column_3"], 2),  # a first value is missing
        ("1.5,,2\n1,0,2\n", ["column_1", "column_2", "column_3"], 2),
        ("NA,2\n1,0\n", ["column_1", "column_2"], 2),
        ("1.5,2,\n1,0,2\n", ["column_1", "column_2", "column_3"], 2),
    ],
)
def test_a_first_line_of_numbers_is_a_row_unless_it_counts_the_columns(tmp_path, text, names, rows):
    path = tmp_path / "t.csv"
    path.write_text(text)
    frame = load_rows(path).inputs
    assert (frame.columns, frame.height) == (names, rows)
