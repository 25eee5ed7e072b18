"""An ONNX file of a classifier: from raw rows to probabilities and labels in one graph."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from steepest.classifier import Classifier
from steepest.data import Preprocessing, Samples
from steepest.errors import ModelError, needs
from steepest.export.columns import feeds, inputs_of, missing_word, parts_of, prepared
from steepest.export.graph import ML, ML_OPSET, OPSET, GraphBuilder
from steepest.export.net import ProbabilityNet, quietly, reason_of
from steepest.export.rows import require_same, rows_to_compare
from steepest.files import write_atomically

with needs("onnx", "an ONNX file"):
    import onnx
    import onnxruntime
    import onnxscript as _  # noqa: F401  torch.onnx writes the net with it
    import torch.onnx


def write_onnx(classifier: Classifier, path: Path, train: Samples | None) -> dict[str, Any]:
    """Write the file after its probabilities were compared with the classifier's.

    train: rows to compare on, beside made ones. Returns what was written, as plain values. Raises
    ModelError for what no ONNX operator does, and where the probabilities differ.
    """
    content = _model(classifier).SerializeToString()
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds, none with a base of its own
        raise ModelError(f"onnxruntime cannot run the exported net: {reason_of(error)}") from error
    probabilities = session.get_outputs()[1].name
    rows, difference = 0, 0.0
    for samples in rows_to_compare(classifier.preprocessing, train):
        given = feeds(classifier.preprocessing, samples)
        (found,) = session.run([probabilities], given)
        difference = max(difference, require_same(classifier, samples, found, "onnxruntime"))
        rows += len(samples)
    write_atomically(path, content)
    return {
        "format": "onnx",
        "path": str(path),
        "opset": OPSET,
        "inputs": len(session.get_inputs()),
        "rows_compared": rows,
        "largest_difference": difference,
    }


def _model(classifier: Classifier) -> Any:
    """The whole graph as a ModelProto."""
    inputs = inputs_of(classifier.preprocessing)
    names = [given.name for given in inputs]
    if "" in names:
        raise ModelError("a column without a name cannot be the input of an ONNX graph; name it")
    label, probabilities = (_free(name, names) for name in ("label", "probabilities"))
    graph = GraphBuilder(names)
    net = ProbabilityNet(classifier.model, classifier.objective)
    rows = prepared(graph, classifier.preprocessing, net.row_type)
    exact = _append_net(graph, net, rows, classifier.preprocessing)
    graph.rename(graph.cast(exact, np.float32), probabilities)
    kind = _append_label(graph, classifier, exact, label)
    count = len(classifier.classes)
    outputs = [
        _value(label, kind, ["N", count] if classifier.classes.multilabel else ["N"]),
        _value(probabilities, np.float32, ["N", count]),
    ]
    taken = [_value(x.name, x.dtype, ["N", *x.shape]) for x in inputs]
    body = onnx.helper.make_graph(
        graph.nodes, "steepest", taken, outputs, initializer=graph.constants
    )
    model = onnx.helper.make_model(
        body,
        ir_version=graph.ir_version,
        producer_name="steepest",
        producer_version=version("steepest"),
        opset_imports=[onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(ML, ML_OPSET)],
    )
    onnx.helper.set_model_props(model, _metadata(classifier))
    onnx.checker.check_model(model)
    return model


def _append_net(
    graph: GraphBuilder, net: ProbabilityNet, rows: str, preprocessing: Preprocessing
) -> str:
    """The nodes of the net as torch.onnx writes them; the name of the probabilities, float64."""
    example = net.example(preprocessing.shape, integers=preprocessing.integers)
    try:
        with quietly():
            program = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
        assert program is not None
        proto = program.model_proto
    except Exception as error:  # torch and onnxscript raise kinds of their own
        raise ModelError(
            f"{net.name} cannot be written as an ONNX graph: {reason_of(error)}"
        ) from error
    if proto.functions:
        raise ModelError(f"{net.name} needs functions that the ONNX opset {OPSET} has not")
    return graph.splice(proto.graph, rows)


def _append_label(graph: GraphBuilder, classifier: Classifier, exact: str, name: str) -> Any:
    """The label output; the type of its values, None for text."""
    if classifier.classes.multilabel:
        above = graph.add("Greater", exact, graph.constant(0.5))
        graph.rename(graph.cast(above, np.int64), name)
        return np.int64
    values = np.array(classifier.classes.values)  # as Classes.decode gives them
    dtype = None if values.dtype.kind == "U" else values.dtype.type
    likeliest = graph.add("ArgMax", exact, axis=1, keepdims=0)
    graph.rename(graph.add("Gather", graph.constant(values, dtype), likeliest), name)
    return dtype


def _metadata(classifier: Classifier) -> dict[str, str]:
    """What the graph itself does not tell, in JSON."""
    facts: dict[str, Any] = {
        "classes": list(classifier.classes.names),
        "task": classifier.objective.kind,
    }
    encoder = classifier.preprocessing.encoder
    if encoder is None:
        columns = parts_of(classifier.preprocessing)[0].columns
        facts["columns"] = None if columns is None else list(columns)
    else:
        facts["columns"] = [
            {
                "name": c.name,
                "kind": c.quantity or c.kind,
                "missing": missing_word(c) if c.kind == "words" else "NaN",
            }
            for c in encoder.columns
        ]
    return {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}


def _value(name: str, dtype: Any, shape: list[Any]) -> Any:
    kind = (
        onnx.TensorProto.STRING
        if dtype is None
        else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    )
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def _free(name: str, taken: list[str]) -> str:
    """The name, with "output_" before it as often as a column is called so."""
    while name in taken:
        name = f"output_{name}"
    return name
