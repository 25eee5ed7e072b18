"""The lecture's chapters, L1 to L22: for each a scene that sets the playground up."""

from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from steepest.explain.backprop.pages import mathml

_SIX = ("xavier", "he", "normal", "uniform", "zeros", "ones")


@dataclass(frozen=True)
class Scene:
    """One chapter.

    chapter: "L1" to "L22". title: in a few words. say: what it is about. look: what to do and to
    look at. formulas: in LaTeX. wanted: as for `Playground`. panel: what is opened beside the
    picture: net, curves, lanes, surface, ledger,
    health, layers or code.
    """

    chapter: str
    title: str
    say: str
    look: str
    formulas: tuple[str, ...] = ()
    wanted: dict[str, Any] = field(default_factory=dict)
    panel: str = "net"


def _wanted(data: dict[str, Any] | None = None, lanes: Any = None, **recipe: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"data": data or {}, "recipe": recipe}
    return wanted | ({} if lanes is None else {"lanes": lanes})


_LINEAR: dict[str, Any] = {"hidden": ()}
_CLIFF: dict[str, Any] = {"kind": "cliff", "classes": 2, "rows": 40, "noise": 0.0}
_DEEP: dict[str, Any] = {"hidden": (8, 8, 8, 8, 8)}

SCENES = (
    Scene(
        "L1",
        "Learning from samples",
        "A classifier is a function f(x; W) that is fitted to samples of an unknown one. Here x is "
        "a point, and its class is its colour. Filled points are learned from; hollow ones are "
        "kept apart and show whether what was learned holds for points never seen.",
        "Press play. Then lower the number of points to 20 and play again: the hollow points are "
        "no longer met.",
        (r"f(X; W) \approx g(X), \quad X: N \times n, \; Y: N \times k",),
        _wanted({"kind": "blobs", "classes": 4, "noise": 0.12}, hidden=(8,), lr=0.1),
    ),
    Scene(
        "L2",
        "Softmax and cross entropy",
        "Softmax makes probabilities of the scores, and the loss is minus the logarithm of the one "
        "that the true class was given. A net that knows nothing gives each of C classes 1/C, so "
        "its loss is log C.",
        "Do not play yet: the loss at the start stands beside log C. Change the number of classes, "
        "and both move together.",
        (r"p_i = \frac{e^{s_i}}{\sum_j e^{s_j}}", r"L = -\log p_c, \quad L_0 \approx \log C"),
        _wanted({"kind": "blobs", "classes": 5}, **_LINEAR, lr=0.1, init="zeros"),
        "curves",
    ),
    Scene(
        "L3",
        "The loss of a small net, in numbers",
        "The lecture follows four samples through a net with layers of 7 and 4 units. The same "
        "net stands here, for points of the plane: every product and every activation of the next "
        "minibatch, with its shape.",
        "Read the ledger from the top: Z is a product with a bias, A what the activation makes of "
        "it, and the last line of the first part the loss.",
        (r"Z^{(1)} = X W^{(1)\top} + b^{(1)}", r"A^{(1)} = \sigma(Z^{(1)})"),
        _wanted({"classes": 3}, hidden=(7, 4), activation="sigmoid", batch_size=4, lr=0.3),
        "ledger",
    ),
    Scene(
        "L4",
        "Two classes: binary cross entropy",
        "Two classes need one output alone. Its sigmoid is the probability of the second class, "
        "and the loss is worked out from the logit, not from the probability, so that it stays "
        "exact where the net is sure.",
        "Look at the single output on the right of the net, and at how the border follows its "
        "zero.",
        (r"L = -y \log \sigma(z) - (1 - y) \log (1 - \sigma(z))",),
        _wanted({"kind": "moons", "classes": 2, "noise": 0.08}, hidden=(6,), lr=0.3),
    ),
    Scene(
        "L5",
        "Backpropagation by hand",
        "From the loss back to every weight: each derivative is the one behind it times the local "
        "one. The ledger works each out by its formula and compares it with autograd's.",
        "Take one step and see the numbers change. Each line says by how much hand and autograd "
        "differ.",
        (
            r"\frac{\partial L}{\partial Z^{(3)}} = \frac{A^{(3)} - Y}{N}",
            r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial Z}^\top A",
        ),
        _wanted({"classes": 3}, hidden=(7, 4), activation="tanh", batch_size=4, lr=0.3),
        "ledger",
    ),
    Scene(
        "L6",
        "The graph of the computation",
        "Autograd writes down what was computed as a graph, and walks it backwards. The net's "
        "picture is that graph: values go from left to right, gradients from right to left.",
        "Switch the lines from weights to gradients and take single steps: where a line is thick, "
        "the next update is large.",
        (r"f(x) = (x_0 + x_1)^2 + 7 x_0 + \cos(x_0 + x_2)",),
        _wanted({"classes": 3}, hidden=(4, 4), lr=0.1, batch_size=8),
        "net",
    ),
    Scene(
        "L7",
        "A net is modules in a row",
        "Linear, activation, linear: an ordinary Sequential of PyTorch. What is chosen here is "
        "what the script below builds, and the run gives the trained module back.",
        "Add and remove layers, then open the code: the same training in Python and on the "
        "command line, to the last bit.",
        (),
        _wanted({"classes": 3}, hidden=(6, 6), activation="relu", lr=0.1),
        "code",
    ),
    Scene(
        "L8",
        "Six initialisations",
        "The first weights decide whether a signal comes through many layers. Xavier and He keep "
        "its spread; normal and uniform of one size for all layers lose or inflate it; zeros and "
        "ones make all units of a layer alike, and they stay alike.",
        "Six nets from the same points, side by side. Play: two of them never learn.",
        (
            r"\mathrm{xavier}: \sigma^2 = \frac{2}{n_{in} + n_{out}}",
            r"\mathrm{he}: \sigma^2 = \frac{2}{n_{in}}",
        ),
        _wanted(
            {"classes": 3},
            lanes=[{"name": name, "init": name} for name in _SIX],
            **_DEEP,
            lr=0.1,
        ),
        "lanes",
    ),
    Scene(
        "L9",
        "How large are the updates?",
        "A healthy step changes each weight by about a thousandth of its size. Far more, and the "
        "net forgets; far less, and it does not move.",
        "Watch |dW| / |W| of each layer beside the band around 1e-3, and move the learning rate by "
        "factors of ten.",
        (r"\frac{\| \Delta W \|}{\| W \|} \approx 10^{-3}",),
        _wanted({"classes": 3}, hidden=(8, 8, 8), lr=0.03),
        "layers",
    ),
    Scene(
        "L10",
        "Inputs of one size",
        "Where one input is a thousand times the other, no single learning rate suits both. "
        "Standardising, x minus its mean over its deviation with N - 1, cures it; it is fitted on "
        "the training points alone.",
        "Two lanes from the same points, whose first input is in thousandths: raw and "
        "standardised. Only one of them learns.",
        (r"x' = \frac{x - \bar x}{s}, \quad s^2 = \frac{1}{N - 1} \sum (x_i - \bar x)^2",),
        _wanted(
            {"kind": "moons", "classes": 2, "stretch": 1000},
            lanes=[
                {"name": "raw", "scaling": "none"},
                {"name": "standardised", "scaling": "standardise"},
            ],
            hidden=(8, 8),
            lr=0.1,
        ),
        "lanes",
    ),
    Scene(
        "L11",
        "From points to pictures",
        "An image of 28 by 28 pixels is a point too, of 784 coordinates: flattened and divided by "
        "255. What happens here in a plane happens there in the same way.",
        "Own data: paste or open a CSV with two columns of numbers and a class. Images and tables "
        "are trained by the command line.",
        (r"28 \times 28 \to 784, \quad x \in [0, 1]",),
        _wanted({"kind": "checkerboard", "classes": 3, "rows": 600}, hidden=(16, 16), lr=0.1),
    ),
    Scene(
        "L12",
        "Gradient descent on all points",
        "Each step looks at every point, and goes down the true gradient. The path is smooth, and "
        "each step is dear.",
        "Play and open the surface: no step goes up, as long as the learning rate is small enough.",
        (r"W \leftarrow W - \eta \nabla L(W)",),
        _wanted({"kind": "moons", "classes": 2}, hidden=(6,), batch_size="full", lr=0.5),
        "surface",
    ),
    Scene(
        "L13",
        "Minibatches",
        "A few points give nearly the same direction for a fraction of the work: 32, 64 or 128 a "
        "step.",
        "Three sizes side by side at equal numbers of gradients asked for. The smaller batch has "
        "taken more steps.",
        (r"\nabla L \approx \frac{1}{B} \sum_{i \in B} \nabla L_i",),
        _wanted(
            {"kind": "moons", "classes": 2, "rows": 600},
            lanes=[{"name": f"batch {size}", "batch_size": size} for size in (128, 64, 32)],
            hidden=(6,),
            lr=0.3,
        ),
        "lanes",
    ),
    Scene(
        "L14",
        "One point at a time",
        "The incremental update: each point moves the net at once. It is quick in the beginning "
        "and never quite at rest.",
        "Take single steps: the ringed point is the one that the next step looks at, and the "
        "border moves near it.",
        (r"W \leftarrow W - \eta \nabla L_i(W)",),
        _wanted({"kind": "moons", "classes": 2, "rows": 80}, hidden=(6,), batch_size=1, lr=0.1),
    ),
    Scene(
        "L15",
        "Iteration, minibatch, epoch",
        "An epoch looks at each point once, in a new order each time. An iteration is one "
        "minibatch and one update; the last one of an epoch may be smaller, and is not dropped.",
        "Step by step: the rings show the points of the next minibatch. After the last one every "
        "point has had its turn.",
        (r"\lceil N / B \rceil \text{ iterations} = 1 \text{ epoch}",),
        _wanted({"kind": "circles", "classes": 2, "rows": 60}, hidden=(6,), batch_size=16, lr=0.1),
    ),
    Scene(
        "L16",
        "A learning rate that changes",
        "Large steps first, small ones at last: constant, cosine, in steps, one cycle, with or "
        "without a warm-up.",
        "Four schedules from the same first weights. Look at the learning rates and at the last "
        "stretch of the losses.",
        (r"\eta_t = \tfrac{1}{2} \eta_0 (1 + \cos(\pi t / T))",),
        _wanted(
            {"kind": "spiral", "classes": 3, "noise": 0.03},
            lanes=[
                {"name": name, "schedule": name}
                for name in ("constant", "cosine", "step", "one_cycle")
            ],
            hidden=(16, 16),
            lr=0.3,
            epochs=150,
        ),
        "curves",
    ),
    Scene(
        "L17",
        "The training loop, and what it tells",
        "Epoch, iteration, loss, accuracy: what a loop prints is what the page draws, from the "
        "same record. Nothing here is a simulation.",
        "Play, and read the line of numbers; the code panel has the loop that prints them.",
        (),
        _wanted({"kind": "spiral", "classes": 3, "noise": 0.03}, hidden=(16, 16), lr=0.1),
        "curves",
    ),
    Scene(
        "L18",
        "The cliff",
        "Points of one input that a threshold tells apart, a classifier with one weight and one "
        "bias: accuracy is perfect, and the loss goes on falling, since steeper is always better. "
        "The curve becomes a cliff where there are no data to support it.",
        "Play for long: the accuracy has been 100 % from early on, and the weight still grows.",
        (r"p(x) = \sigma(w x + b), \quad w \to \infty",),
        _wanted(_CLIFF, **_LINEAR, batch_size="full", lr=3.0, epochs=4000, scaling="none"),
        "net",
    ),
    Scene(
        "L19",
        "Regularisation",
        "The data's loss and a price for large weights: L2 adds lambda times the sum of squares, "
        "L1 of absolute values. Dropout, batch normalisation and mixup work in other ways to the "
        "same end.",
        "Few and noisy points, one lane for each means. Compare the gap between training and "
        "validation.",
        (r"L(W) = L_{data}(W) + \lambda R(W)", r"R_{2} = \sum w^2, \quad R_{1} = \sum |w|"),
        _wanted(
            {"kind": "moons", "classes": 2, "rows": 60, "noise": 0.2},
            lanes=[
                {"name": "none"},
                {"name": "L2", "l2": 0.01},
                {"name": "L1", "l1": 0.003},
                {"name": "dropout", "dropout": 0.3},
                {"name": "batch norm", "batch_norm": True},
                {"name": "mixup", "mixup": 0.4},
            ],
            hidden=(32, 32),
            lr=0.1,
        ),
        "lanes",
    ),
    Scene(
        "L20",
        "What a penalty prefers",
        "For x = [1 1 1 1] the weights [1 0 0 0] and [.25 .25 .25 .25] score alike; L2 costs 1 for "
        "the first and .25 for the second. On the cliff, the same price keeps the slope finite.",
        "The cliff with four values of lambda: the larger, the gentler the slope, at the same "
        "accuracy.",
        (r"\sum w_1^2 = 1, \quad \sum w_2^2 = \tfrac{1}{4}",),
        _wanted(
            _CLIFF,
            lanes=[
                {"name": "lambda 0"},
                *({"name": f"lambda {value:g}", "l2": value} for value in (0.001, 0.01, 0.1)),
            ],
            **_LINEAR,
            batch_size="full",
            lr=1.0,
            epochs=4000,
            scaling="none",
        ),
        "lanes",
    ),
    Scene(
        "L21",
        "All points at once, or one at a time",
        "Full batch moves the function everywhere together; the incremental update moves it where "
        "the point lies. At equal numbers of gradients they have done very different numbers of "
        "steps.",
        "Three lanes from the same first weights: full, 8 and 1. Step slowly, then open the "
        "surface for their paths.",
        (r"\text{steps} = \text{gradients} / B",),
        _wanted(
            {"kind": "line", "classes": 2, "rows": 60, "noise": 0.0, "validation": 0.0},
            lanes=[
                {"name": "full batch", "batch_size": "full"},
                {"name": "minibatch 8", "batch_size": 8},
                {"name": "incremental", "batch_size": 1},
            ],
            hidden=(16,),
            lr=0.3,
        ),
        "lanes",
    ),
    Scene(
        "L22",
        "Hyperparameters, and luck",
        "Initialisation, steps, learning rate, batch size, order of the data: each is a setting, "
        "and part of what comes out is chance. A hundred seeds of one recipe show how much.",
        "A hundred nets train at once; the band of curves is what a single run may land on.",
        (),
        _wanted({"kind": "spiral", "classes": 3, "noise": 0.03}, lanes=100, hidden=(8, 8), lr=0.1),
        "lanes",
    ),
)


@cache
def scenes() -> list[dict[str, Any]]:
    """All of them as plain data, formulas as MathML."""
    return [
        asdict(scene) | {"formulas": [mathml(formula) for formula in scene.formulas]}
        for scene in SCENES
    ]
