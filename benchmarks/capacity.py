"""Can a wider net tell too narrow ones from healthy ones? python benchmarks/capacity.py.

The experiment that a rule CAPACITY_TOO_LOW could make: new starts of the net and of one with hidden
layers of four times the width take 300 steps of the program's own optimizer on its first 30
minibatches. It is made on the healthy programs of tests/faults whose net is a plain stack of linear
layers, and on the same programs with hidden layers of one and of two units. Told of each: the mean
loss of the last 30 steps, as a share of that of a constant answer, of the net and of the wider one.
"""

import copy
import itertools
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from faults.case import Case, step
from faults.programs import Program, programs

WIDER, NARROW, MINIBATCHES, STEPS = 4, (1, 2), 30, 300
_PLAIN = nn.Flatten, nn.Dropout, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.LeakyReLU
_SETTINGS = "lr", "momentum", "betas", "weight_decay"


def layers(model: nn.Module) -> list[nn.Module] | None:
    """Of a plain stack with a hidden layer, else None."""
    parts = [m for m in model.modules() if not list(m.children())]
    linear = [m for m in parts if type(m) is nn.Linear]
    plain = all(type(m) in (nn.Linear, *_PLAIN) for m in parts)
    return parts if isinstance(model, nn.Sequential) and plain and len(linear) > 1 else None


def resized(case: Case, width: int | None, times: int) -> Case | None:
    """The case with hidden layers of so many times this width; None for their own."""
    parts = layers(case.model)
    if parts is None or case.train_step or len(case.optimizer.param_groups) > 1:
        return None
    settings = {k: v for k, v in case.optimizer.defaults.items() if k in _SETTINGS}
    torch.manual_seed(0)
    linear = [m for m in parts if isinstance(m, nn.Linear)]
    made: list[nn.Module] = []
    inputs = linear[0].in_features
    for part in parts:
        if isinstance(part, nn.Linear):
            hidden = times * (width or part.out_features)
            outputs = part.out_features if part is linear[-1] else hidden
            made.append(nn.Linear(inputs, outputs))
            inputs = outputs
        else:
            made.append(copy.deepcopy(part))
    case.model = nn.Sequential(*made)
    case.optimizer = type(case.optimizer)(case.model.parameters(), **settings)
    return case


def ends_at(case: Case) -> float:
    batches = list(itertools.islice(case.train_loader, MINIBATCHES))
    y = torch.cat([batch[1].reshape(-1) for batch in batches]).long()
    share = y.bincount().double() / len(y)
    losses = [float(step(case, batches[k % len(batches)])) for k in range(STEPS)]
    return sum(losses[-MINIBATCHES:]) / MINIBATCHES / float(torch.special.entr(share).sum())


def measure(program: Program) -> None:
    for width in (None, *NARROW):
        ends = []
        for times in (1, WIDER):
            case = resized(program.case(0, healthy=True), width, times)
            if case is None or getattr(case.loss_fn, "weight", None) is not None:
                return
            ends.append(ends_at(case))
        name = "narrow" if width else "healthy"
        print(
            f"{name} {program.name} {width or 'own'}: {ends[0]:.3f}, wider {ends[1]:.3f}",
            flush=True,
        )


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for program in programs(sys.argv[1:] or ("public", "variants", "controls")):
        try:
            measure(program)
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
            print(f"left out {program.name}: {type(error).__name__}", flush=True)


if __name__ == "__main__":
    main()
