"""run.export("model.onnx"): probabilities, labels and inputs in onnxruntime, beside ours."""

import json
from datetime import date, datetime, time, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import steepest as sp
from steepest.data import NumericTransform
from steepest.errors import ModelError, RunError
from steepest.nn import Ensemble

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def train(data, model=None, **settings):
    return sp.train(
        model, data, **{"epochs": 3, "progress": "none", "check": False, "hidden": (8,)} | settings
    )


def export(run, path):
    """The session of the exported file, and what was said of it."""
    written = run.export(path)
    assert written["largest_difference"] <= 1e-6
    assert written["rows_compared"] >= 200
    return runtime.InferenceSession(path), written


def table(n=240, *, gaps=True):
    random = np.random.default_rng(0)
    x = random.normal(size=n) * 3 + 1000
    word = random.choice(["red", "green ", " blue", "NA", "dark red"], n)
    frame = pl.DataFrame(
        {
            "size": x.round(1),
            "count": random.integers(0, 4, n),
            "colour": word,
            "city": random.choice(["Wien", "Graz", "Linz"], n),
            "member": random.random(n) < 0.5,
            "code": [f"k{i}" for i in random.integers(0, 90, n)],
            "day": pl.Series(random.integers(0, 10_000, n)).cast(pl.Int32).cast(pl.Date),
            "seen": pl.Series(random.integers(0, 10**15, n)).cast(pl.Datetime("us")),
            "hour": pl.Series(random.integers(0, 86_399, n) * 10**9).cast(pl.Time),
            "lasted": pl.Series(random.integers(0, 10**9, n)).cast(pl.Duration("us")),
            "same": np.ones(n),
        }
    )
    if gaps:
        holes = pl.Series(random.random(n) < 0.15)
        frame = frame.with_columns(
            *(frame[c].set(holes, None) for c in ("size", "day", "hour", "lasted")),
            *(
                frame[c].zip_with(~holes, pl.Series([None] * n, dtype=frame[c].dtype))
                for c in ("city", "member")
            ),
        )
    return frame.with_columns(label=pl.Series(np.where((x > 1000) ^ (word == "red"), "yes", "no")))


def strings(*words):
    return np.array(words, dtype=object).reshape(-1, 1)


@pytest.mark.parametrize("scaling", ["standardise", "minmax", "robust", "quantile", "piecewise"])
def test_rows_of_a_table_by_hand_get_the_probabilities_of_the_classifier(tmp_path, scaling):
    run = train(table(), target="label", scaling=scaling)
    session, _ = export(run, tmp_path / "m.onnx")
    new = pl.DataFrame(
        {
            "size": [1000.3, None, -4e5],
            "count": [1, 3, 0],
            "colour": [" blue", "mauve", "NA"],
            "city": [None, "Graz", "Paris"],
            "member": [True, None, False],
            "code": ["k1", "k89", "never seen"],
            "day": [date(1999, 5, 3), None, date(2030, 1, 1)],
            "seen": [datetime(1980, 1, 2, 3, 4, 5), datetime(2001, 1, 1), datetime(1970, 1, 1)],
            "hour": [time(1, 2, 3), None, time(23, 59)],
            "lasted": [timedelta(seconds=4), timedelta(seconds=900.5), None],
            "same": [1.0, 2.0, 1.0],
        }
    )
    nan = np.nan

    def numbers(*values):
        return np.array(values, dtype=np.float64).reshape(-1, 1)

    def since_1970(*moments):
        return numbers(
            *(nan if m is None else (m - datetime(1970, 1, 1)).total_seconds() for m in moments)
        )

    given = {
        "size": numbers(1000.3, nan, -4e5),
        "count": numbers(1, 3, 0),
        "colour": strings(" blue", "mauve", "NA"),
        "city": strings("", "Graz", "Paris"),
        "member": numbers(1, nan, 0),
        "code": strings("k1", "k89", "never seen"),
        "day": since_1970(datetime(1999, 5, 3), None, datetime(2030, 1, 1)),
        "seen": since_1970(*new["seen"]),
        "hour": numbers(3723, nan, 86_340),
        "lasted": numbers(4, 900.5, nan),
        "same": numbers(1, 2, 1),
    }
    with pytest.warns(UserWarning, match="never"):
        expected, labels = run.classifier.predict_proba(new), run.classifier.predict(new)
    label, probabilities = session.run(["label", "probabilities"], given)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)
    assert label.tolist() == labels.tolist()
    assert np.ptp(probabilities[:, 0]) > 1e-3  # the rows are told apart


def test_an_ensemble_with_its_temperature(tmp_path):
    run = sp.train(None, table(), target="label", epochs=2, progress="none")
    assert isinstance(run.model, Ensemble)
    run.model.temperature.fill_(1.7)
    session, _ = export(run, tmp_path / "m.onnx")
    assert [x.name for x in session.get_inputs()] == table().columns[:-1]


def test_classes_and_columns_are_in_the_file(tmp_path):
    run = train(table(), target="label")
    session, written = export(run, tmp_path / "m.onnx")
    facts = {k: json.loads(v) for k, v in session.get_modelmeta().custom_metadata_map.items()}
    assert facts["classes"] == ["no", "yes"]
    columns = {c["name"]: c for c in facts["columns"]}
    assert columns["colour"] == {"name": "colour", "kind": "words", "missing": ""}
    assert columns["day"] == {"name": "day", "kind": "date", "missing": "NaN"}
    model = onnx.load(tmp_path / "m.onnx")
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 20), ("ai.onnx.ml", 3)}
    assert written["opset"] == 20


def matrix(n=90):
    random = np.random.default_rng(1)
    X = (random.normal(size=(n, 5)) * 3 + 100).round(1)
    return X, (X[:, 0] > 100).astype(int) + (X[:, 1] > 101)


@pytest.mark.parametrize("scaling", ["auto", "robust", "quantile", "piecewise"])
def test_a_matrix(tmp_path, scaling):
    X, y = matrix()
    run = train((X, y + 7), scaling=scaling)
    session, _ = export(run, tmp_path / "m.onnx")
    label, probabilities = session.run(None, {"rows": X})
    np.testing.assert_allclose(probabilities, run.classifier.predict_proba(X), rtol=0, atol=1e-6)
    assert label.dtype == np.int64
    assert (label == run.classifier.predict(X)).all()


def test_several_classes_in_a_row(tmp_path):
    X, _ = matrix()
    run = train((X, (X[:, :3] > 100).astype(int)), task="multilabel")
    session, _ = export(run, tmp_path / "m.onnx")
    label, probabilities = session.run(None, {"rows": X})
    np.testing.assert_allclose(probabilities, run.classifier.predict_proba(X), rtol=0, atol=1e-6)
    assert (label == run.classifier.predict(X)).all()
    assert label.shape == (90, 3)


def test_embedded_categories_of_a_table(tmp_path):
    run = train(table(), target="label", category_embedding=8, numeric_embedding="periodic")
    assert type(run.model[1]).__name__ == "CategoryEmbedding"
    export(run, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "settings",
    [
        {"activation": "mish"},
        {"numeric_embedding": "periodic"},
        {"batch_ensemble": 4},
        {"activation": "selu", "parametric_activation": True, "scaling_layer": True},
    ],
    ids=str,
)
def test_layers_of_recipes(tmp_path, settings):
    run = train(matrix(), **settings)
    export(run, tmp_path / "m.onnx")
    again = sp.load_run(run.save(tmp_path / "run"))
    assert repr(again.model) == repr(run.model)


def test_images_and_a_convolutional_net(tmp_path):
    random = np.random.default_rng(2)
    images, y = random.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8), random.integers(0, 3, 60)
    net = nn.Sequential(
        *(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.2),
        ),
        *(
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            nn.GroupNorm(2, 4),
            nn.ReplicationPad2d((0, 1, 1, 0)),
            nn.InstanceNorm2d(4, affine=True),
            nn.Conv2d(4, 4, 4),
            nn.GELU(),
            nn.Flatten(),
            nn.LayerNorm(16),
            nn.Linear(16, 3),
        ),
    )
    run = sp.train(net, (images, y), epochs=2, progress="none", check=False)
    session, _ = export(run, tmp_path / "m.onnx")
    (found,) = session.run(["probabilities"], {"rows": images.astype(np.float32)})
    np.testing.assert_allclose(found, run.classifier.predict_proba(images), rtol=0, atol=1e-6)


class Own(nn.Module):
    def __init__(self, wrong=False):
        super().__init__()
        self.linear, self.wrong = nn.Linear(5, 1), wrong

    def forward(self, x):
        if self.wrong and x.sum() > 0:
            return -self.linear(x)
        return self.linear(torch.cumsum(x, dim=1))


def test_a_module_of_ones_own_with_one_output(tmp_path):
    X, y = matrix()
    run = sp.train(Own(), (X, y > 0), epochs=2, progress="none", check=False)
    session, _ = export(run, tmp_path / "m.onnx")
    label, probabilities = session.run(None, {"rows": X})
    np.testing.assert_allclose(probabilities, run.classifier.predict_proba(X), rtol=0, atol=1e-6)
    assert label.tolist() == run.classifier.predict(X).tolist()


def test_what_no_graph_holds_is_named_in_one_line_and_nothing_is_written(tmp_path):
    X, y = matrix()
    run = sp.train(Own(wrong=True), (X, y > 0), epochs=1, progress="none", check=False)
    with pytest.raises(ModelError, match=r"^Own cannot be written as an ONNX graph: .*$") as caught:
        run.export(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_other_probabilities_are_not_written(tmp_path, monkeypatch):
    X, y = matrix()
    run = train((X, y), scaling="robust")
    monkeypatch.setattr("steepest.export.numbers._CLIP", 3.001)
    with pytest.raises(ModelError, match=r"differ by .* nothing was written"):
        run.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_column_that_is_called_as_an_output(tmp_path):
    frame = table().select("size", label=pl.col("count"), y="label")
    session, _ = export(train(frame, target="y"), tmp_path / "m.onnx")
    assert [x.name for x in session.get_inputs()] == ["size", "label"]
    assert [x.name for x in session.get_outputs()] == ["output_label", "probabilities"]


def test_the_end_of_the_name_says_which_file(tmp_path):
    run = train(matrix())
    with pytest.raises(RunError, match=r"must end in \.onnx"):
        run.export(tmp_path / "model.tflite")


@pytest.mark.parametrize("kind", ["robust", "quantile", "piecewise"])
def test_numbers_of_all_sizes(kind):
    """Ties, gaps between values, constant columns, and values far outside those of the training."""
    from steepest.export.graph import OPSET, GraphBuilder
    from steepest.export.numbers import transformed

    random = np.random.default_rng(3)
    x = np.stack(
        [
            random.normal(size=700),
            random.integers(0, 3, 700),
            np.full(700, 5.0),
            10 ** random.uniform(-9, 9, 700),
        ],
        axis=1,
    )
    transform = NumericTransform.fit(kind, x, np.array([0, 1, 2, 3]), 24)
    new = np.concatenate(
        [
            x,
            x + 1e-9,
            x - 1e-9,
            random.normal(size=(700, 4)) * 100,
            np.array([[1e20] * 4, [-1e20] * 4, [0.0] * 4]),
        ]
    )
    graph = GraphBuilder(["rows"])
    graph.rename(transformed(graph, "rows", transform), "found")
    double = onnx.TensorProto.DOUBLE
    body = onnx.helper.make_graph(
        graph.nodes,
        "numbers",
        [onnx.helper.make_tensor_value_info("rows", double, ["N", 4])],
        [onnx.helper.make_tensor_value_info("found", double, ["N", transform.outputs])],
        initializer=graph.constants,
    )
    model = onnx.helper.make_model(
        body, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", OPSET)]
    )
    (found,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"rows": new})
    expected = transform.apply(new, np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_the_command_line(tmp_path, capsys):
    from steepest.cli import main

    run = train(matrix())
    run.save(tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tmp_path / "run"), str(tmp_path / "m.onnx"), "--json"])
    assert ended.value.code == 0
    written = json.loads(capsys.readouterr().out)
    assert written["format"] == "onnx"
    assert (tmp_path / "m.onnx").stat().st_size > 1000
