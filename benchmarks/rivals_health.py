"""Other tools from PyPI on the fault programs, judged as steepest is.

    pip install torchtest2 torch-audit neurolens torchdiag torcheck
    python benchmarks/rivals_health.py [--tools torchtest2,torchdiag] [--public] [--variants]
                                       [--controls] [--unseen] [--seeds 1]
                                       [--json benchmarks/rivals_health.json]

MEANS below is the whole mapping from their messages to our codes. It is generous: a message that
could mean several causes counts as the right one where one of them is right, and as a consequence
where one of them is. Hints about speed and style (half of torch-audit's rules) are not counted.
neurolens draws its verdicts in a compiled window, which no program can read: its own Monitor
measures here at every step, and the rules of its README are written out below; one that looks at a
step counts if it holds for 20 steps in a row.
"""

import argparse
import contextlib
import copy
import importlib.metadata
import importlib.util
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch

from faults.case import Case, step
from faults.judge import Unwatched, Verdict, as_json, judge
from faults.programs import GROUPS, programs
from faults.score import report
from steepest.health.findings.finding import Finding, Severity

# What a tool's check can mean, in our codes.
GRAPH = "DETACHED_GRAPH|UNREGISTERED_LAYERS|PARAMS_NOT_IN_OPTIMISER"
SIGNAL = "VANISHING_GRADIENT|INIT_TOO_SMALL|DEAD_RELU|SYMMETRIC_INIT"
SCALE = "INPUT_NOT_NORMALISED|FEATURE_SCALES_MIXED|INPUT_TOO_SMALL"
EXPLODES = f"EXPLODING_GRADIENT|INIT_TOO_LARGE|SUM_REDUCTION|{SCALE}"
LEARNS_NOT = (
    f"LR_TOO_LOW|LR_TOO_HIGH|LOSS_EXPECTS_LOGITS|OUTPUT_ACTIVATION|NO_NONLINEARITY|{SIGNAL}"
    f"|WEIGHT_DECAY_TOO_LARGE|SOFTMAX_WRONG_DIM|CLIP_TOO_TIGHT|ASCENT|{GRAPH}"
)
MEANS = {
    "torchtest2": {
        "forward": "FORWARD_FAILED",
        "output_finite": "NONFINITE_INPUT|PREMATURE_NAN|UNSTABLE_LOG",
        "output_varies": f"INPUT_IGNORED|CONSTANT_INPUT|{SIGNAL}",
        "eval_determinism": "STOCHASTIC_EVAL",
        "loss": "NLL_WITHOUT_LOGSOFTMAX|UNSTABLE_LOG|SINGLE_OUTPUT_CE|NONFINITE_INPUT",
        "initial_loss": f"{EXPLODES}|LOSS_EXPECTS_LOGITS|NLL_WITHOUT_LOGSOFTMAX",
        "optimizer_coverage": "PARAMS_NOT_IN_OPTIMISER|UNREGISTERED_LAYERS",
        "gradient_flow": f"{GRAPH}|{SIGNAL}|INPUT_IGNORED",
        "gradient_magnitude": f"{EXPLODES}|LR_TOO_HIGH",
        "params_change": f"{GRAPH}|{SIGNAL}|NO_STEP|LR_TOO_LOW",
        "frozen_params": "PARAMS_NOT_IN_OPTIMISER",
        "input_dependency": f"INPUT_IGNORED|DETACHED_GRAPH|{SIGNAL}",
        "batch_independence": "BATCH_MIXING|SOFTMAX_WRONG_DIM",
        "overfit_batch": LEARNS_NOT,
    },
    "torch-audit": {
        "TA100": "PREMATURE_NAN|LR_TOO_HIGH|NONFINITE_INPUT|EXPLODING_GRADIENT",
        "TA102": f"{EXPLODES}|LR_TOO_HIGH|NO_ZERO_GRAD",
        "TA103": SIGNAL,
        "TA104": f"{GRAPH}|NO_STEP|ZERO_AFTER_BACKWARD",
        "TA105": f"DEAD_RELU|{SIGNAL}",
        "TA301": SCALE,
        "TA302": "CONSTANT_INPUT|INPUT_TOO_SMALL",
        "TA303": "IMAGE_LAYOUT_SCRAMBLED",
        "TA304": "BATCHNORM_TINY_BATCH|EVAL_IN_TRAIN_MODE",
        "TA305": "NONFINITE_INPUT",
        "TA500": f"{GRAPH}|INPUT_IGNORED",
        "TA501": "SHARED_MODULE",
    },
    "neurolens": {
        "nan loss": "PREMATURE_NAN|LR_TOO_HIGH|NONFINITE_INPUT|UNSTABLE_LOG",
        "loss spike": f"LR_TOO_HIGH|EXPLODING_GRADIENT|{SCALE}|SUM_REDUCTION|NO_ZERO_GRAD|ASCENT",
        "diverging": "LR_TOO_HIGH|EXPLODING_GRADIENT|NO_ZERO_GRAD|ASCENT|UNSHUFFLED_SORTED",
        "plateau": f"LR_TOO_LOW|CAPACITY_TOO_LOW|{LEARNS_NOT}",
        "overfitting": "OVERFIT|LABELS_SHUFFLED|VAL_LABELS_MISMATCH",
        "exploding gradient": f"{EXPLODES}|LR_TOO_HIGH|NO_ZERO_GRAD",
        "no gradient": f"{GRAPH}|{SIGNAL}|INPUT_IGNORED",
        "lr too high": "LR_TOO_HIGH|NO_ZERO_GRAD|SUM_REDUCTION|MOMENTUM_TOO_HIGH",
        "lr too low": "LR_TOO_LOW|SCHEDULE_COLLAPSE|CLIP_TOO_TIGHT|PARAMS_NOT_IN_OPTIMISER",
    },
    "torchdiag": {
        "no_grad": GRAPH,
        "vanishing": SIGNAL,
        "exploding": f"{EXPLODES}|LR_TOO_HIGH|NO_ZERO_GRAD",
        "not finite": "PREMATURE_NAN|LR_TOO_HIGH|NONFINITE_INPUT|UNSTABLE_LOG",
        "dead": f"DEAD_RELU|{SIGNAL}|LR_TOO_HIGH",
        "unchanged": f"NO_STEP|{GRAPH}",
    },
    "torcheck": {
        "should change": f"NO_STEP|ZERO_AFTER_BACKWARD|{GRAPH}|{SIGNAL}",
        "contains NaN": "PREMATURE_NAN|LR_TOO_HIGH|NONFINITE_INPUT|UNSTABLE_LOG",
        "contains inf": "PREMATURE_NAN|LR_TOO_HIGH|EXPLODING_GRADIENT",
        "shouldn't all": "LOSS_EXPECTS_LOGITS",
    },
}


def finding(
    tool: str, check: str, message: str, severity: Severity = "warn", at: int = 0
) -> Finding:
    return Finding(MEANS[tool].get(check, check.upper()), severity, message, fix="", step=at)


class TorchTest2:
    """18 checks on one batch before the training; it puts everything back."""

    def before(self, case: Case) -> Iterable[Finding]:
        import torchtest2

        x, y = _first(case)
        checks = torchtest2.check_model(
            case.model,
            x,
            y,
            loss_fn=case.loss_fn,
            # It takes one optimizer, or makes its own.
            optimizer=None if isinstance(case.optimizer, list) else case.optimizer,
        )
        for result in [*checks.failures, *checks.warnings]:
            severity: Severity = "error" if result in checks.failures else "warn"
            yield finding("torchtest2", result.name, result.message, severity)

    def around(self, case: Case) -> AbstractContextManager[Any]:
        return Unwatched()


@dataclass
class Seen:
    findings: list[Finding] = field(default_factory=list)


class TorchAudit:
    """24 rules, at every step by its zero-touch patches; its speed and style hints are left out."""

    def before(self, case: Case) -> Iterable[Finding]:
        return ()

    @contextmanager
    def around(self, case: Case) -> Iterator[Seen]:
        from torch_audit.runtime import Auditor

        seen = Seen()
        auditor = Auditor(case.model, optimizer=_one(case.optimizer), every_n_steps=1)
        auditor.autopatch()
        try:
            yield seen
        finally:
            auditor.unpatch()
        told: set[str] = set()
        for f in auditor.findings:
            code, rank = f.rule_id, f.severity.value
            if code in MEANS["torch-audit"] and code not in told and rank != "INFO":
                told.add(code)
                severity: Severity = "warn" if rank == "WARN" else "error"
                seen.findings.append(finding("torch-audit", code, f.message, severity, f.step or 0))


class TorchDiag:
    """Printing commands: a step on a copy before; gradients and dead units before and after."""

    def before(self, case: Case) -> Iterable[Finding]:
        import torchdiag

        case = copy.deepcopy(case)
        x, y = _first(case)
        with contextlib.redirect_stdout(io.StringIO()):
            done = torchdiag.verify_step(case.model, _one(case.optimizer), case.loss_fn, x, y)
        if isinstance(done.get("loss"), float) and not math.isfinite(done["loss"]):
            yield finding("torchdiag", "not finite", "Loss is not finite")
        if done.get("params_updated") == 0:
            yield finding("torchdiag", "unchanged", "No parameters changed")
        yield from self._look(case, x, 0)

    @contextmanager
    def around(self, case: Case) -> Iterator[Seen]:
        seen = Seen()
        yield seen
        x, _ = _first(case)
        seen.findings += self._look(case, x, 1)

    def _look(self, case: Case, x: torch.Tensor, at: int) -> Iterator[Finding]:
        import torchdiag

        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            torchdiag.check_gradients(case.model)
            torchdiag.check_dead_neurons(case.model, x)
        issues = [line for line in text.getvalue().splitlines() if line.startswith("  •")]
        for line in issues:
            kind = next(
                (
                    check
                    for check, words in {
                        "no_grad": "is None",
                        "dead": "neurons dead",
                        "vanishing": "anish",
                        "exploding": "xplod",
                        "not finite": "NaN",
                    }.items()
                    if words in line
                ),
                "issue",
            )
            yield finding("torchdiag", kind, line.strip(" •"), at=at)


class TorCheck:
    """Asserts in the step: parameters change, nothing is NaN or infinite, outputs leave 0..1."""

    def before(self, case: Case) -> Iterable[Finding]:
        return ()

    @contextmanager
    def around(self, case: Case) -> Iterator[Seen]:
        from torcheck.registry import Registry

        seen, registry = Seen(), Registry()
        for optimizer in case.optimizer if isinstance(case.optimizer, list) else [case.optimizer]:
            registry.register(optimizer)
        try:
            for name, parameter in case.model.named_parameters():
                if parameter.requires_grad:
                    registry.add_tensor_changing_check(parameter, name, module_name="model")
            registry.add_module_nan_check(case.model)
            registry.add_module_inf_check(case.model)
        except RuntimeError as exc:  # a parameter that no optimizer holds
            text = f"model's parameters should change: {exc}"
            seen.findings.append(finding("torcheck", "should change", text, "error"))
        if not isinstance(case.loss_fn, torch.nn.BCELoss):  # which wants outputs in 0..1
            registry.add_module_output_range_check(case.model, (0, 1), negate_range=True)
        inner, at = case.train_step or step, 0

        def catching(case: Case, batch: Any) -> torch.Tensor:
            nonlocal at
            at += 1
            try:
                return inner(case, batch)
            except RuntimeError as exc:
                text = str(exc)
                for check in MEANS["torcheck"]:
                    if check in text:
                        seen.findings.append(finding("torcheck", check, text, "error", at))
                raise

        case.train_step = catching
        yield seen


@dataclass
class Panel:
    """Where neurolens' Monitor sends its figures, with the rules of its README."""

    findings: list[Finding] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    at: int = 0

    def metric(self, name: str, value: float, at: int) -> None:
        if name != "loss":
            return
        self.at = at
        self.losses.append(value)
        if not math.isfinite(value):
            self._tell("nan loss", "loss is not finite")
        recent = self.losses[-10:]
        self._lasts("loss spike", "a loss above 10x the first", value > 10 * self.losses[0])
        high = sum(recent) / len(recent) > 3 * min(self.losses) + 1e-12
        self._lasts("diverging", "recent loss above 3x the best", high)

    def layer_stats(self, rows: list[tuple[str, float, float, float]]) -> None:
        for name, gradient, _, update in rows:
            for check, holds in {
                "exploding gradient": gradient > 100,
                "no gradient": gradient <= 1e-8,
                "lr too high": update > 5e-2,
                "lr too low": 0 <= update < 1e-6,
            }.items():
                self._lasts(check, f"{name}: {check}", holds)

    def metrics(self, at: int, **values: float) -> None:
        self.val.append(values["val_loss"])
        falling = self.losses[-1] < self.losses[len(self.losses) // 2]
        if self.val[-1] > 1.05 * min(self.val) and falling:
            self._tell("overfitting", "val_loss 5 % above its best while training loss falls")

    def finish(self) -> None:
        quarter = 3 * len(self.losses) // 4
        if quarter > 4 and min(self.losses[quarter:]) > 0.99 * min(self.losses[:quarter]):
            self._tell("plateau", "the last quarter did not beat the earlier best by 1 %")

    def _lasts(self, check: str, message: str, holds: bool) -> None:
        """Tell what held for 20 steps in a row."""
        self.held[message] = self.held.get(message, 0) + 1 if holds else 0
        if self.held[message] == 20:
            self._tell(check, message)

    def _tell(self, check: str, message: str) -> None:
        if check not in self.told:
            self.told.add(check)
            self.findings.append(finding("neurolens", check, message, at=self.at))


class NeuroLens:
    """Its Monitor at every step; the nine rules of its window, re-implemented from its README."""

    def before(self, case: Case) -> Iterable[Finding]:
        return ()

    @contextmanager
    def around(self, case: Case) -> Iterator[Any]:
        from neurolens.monitor import monitor as attach

        panel, inner = Panel(), case.train_step or step
        optimizer = _one(case.optimizer)
        monitor = attach(case.model, optimizer, viewer=panel, every=0.0)

        def monitored(case: Case, batch: Any) -> torch.Tensor:
            loss = inner(case, batch)
            monitor.step(loss=loss)
            return loss

        case.train_step = monitored

        class Watched:
            findings = panel.findings

            def val(self, loss: float, accuracy: float) -> None:
                monitor.log(val_loss=loss, val_acc=accuracy)

        try:
            yield Watched()
            panel.finish()
        finally:
            monitor.remove()


def _first(case: Case) -> Any:
    """The first batch; the loader's order of rows stays what it would have been."""
    order = getattr(case.train_loader, "generator", None)
    before = order.get_state() if order is not None else None
    batch = next(iter(case.train_loader))
    if order is not None:
        order.set_state(before)
    return batch


def _one(optimizer: Any) -> Any:
    return optimizer[0] if isinstance(optimizer, list) else optimizer


TOOLS = {
    "torchtest2": TorchTest2,
    "torch-audit": TorchAudit,
    "neurolens": NeuroLens,
    "torchdiag": TorchDiag,
    "torcheck": TorCheck,
}


def score(tool: Any, groups: list[str], seeds: int, only: list[str]) -> list[Verdict]:
    return [
        verdict
        for program in programs(groups, only)
        for seed in range(seeds)
        for verdict in judge(program, seed, tool)
    ]


HEAD = """| | detected | first is right | its fix cures | noise a run | healthy programs, warned |
|---|---:|---:|---:|---:|---:|"""


def row(name: str, figures: dict[str, Any]) -> str:
    """A line of the table in docs/health/benchmark.md."""

    def share(key: str) -> str:
        if key not in figures:  # only faults, or only healthy programs, were asked for
            return ""
        low, high = figures[key]["interval"]
        return f"{figures[key]['share']:.0%} ({low:.0%} to {high:.0%})"

    cells = [share(key) for key in ("detected", "right", "validated")]
    cells += [f"{figures.get('noise per run', 0):.2f}", share("programs with a warning")]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--only", default="", help="names of programs, separated by commas")
    for group in GROUPS:
        parser.add_argument(f"--{group}", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    groups = [g for g in GROUPS if getattr(options, g)] or list(GROUPS)
    only = [name for name in options.only.split(",") if name]
    results: dict[str, Any] = {"mapping": MEANS, "seeds": options.seeds, "tools": {}}
    for name in options.tools.split(","):
        if importlib.util.find_spec(name.replace("-", "_")) is None:
            print(f"{name} is not installed: pip install {name}", file=sys.stderr)
            continue
        verdicts = score(TOOLS[name](), groups, options.seeds, only)
        figures = as_json(verdicts) | {"version": importlib.metadata.version(name)}
        results["tools"][name] = figures
        print(f"{name} {figures['version']}\n{report(figures['all'])}", flush=True)
        for v in verdicts:
            if v.crash:
                print(f"  {v.program} {v.crash[:160]}")
    print(
        "\n".join(
            [HEAD, *(row(f"{t} {f['version']}", f["all"]) for t, f in results["tools"].items())]
        )
    )
    if options.json:
        options.json.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
