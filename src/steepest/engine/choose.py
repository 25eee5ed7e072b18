"""Which engine runs a plan, and why: never a silent fallback."""

from dataclasses import dataclass

from torch.nn.modules.batchnorm import _BatchNorm

from steepest.engine.contract import Engine, Plan
from steepest.engine.native import NativeEngine, native_drawback, nodes_of_plan
from steepest.engine.torch import TorchEngine
from steepest.engine.workers import Workers
from steepest.errors import EngineError


@dataclass(frozen=True)
class EngineChoice:
    """The engine for a plan and, in one line, why it is this one."""

    engine: Engine
    reason: str


def choose_shared(plan: Plan, workers: Workers) -> EngineChoice:
    """The torch engine of one of several workers that take each step together.

    Raises:
        EngineError: The recipe asks for the native engine, or the net looks at rows together.
    """
    if plan.recipe.engine == "native":
        raise EngineError(
            f"the native engine trains in one process, and {workers.count} were started: its whole "
            "step is shorter than adding up gradients over processes (docs/scale.md); set engine "
            "to 'torch' or 'auto', or start one process"
        )
    norms = [name for name, m in plan.model.named_modules() if isinstance(m, _BatchNorm)]
    if norms:
        raise EngineError(
            f"the batch normalisation {norms[0]} takes its means over the whole minibatch, which "
            f"lies in {workers.count} processes: use layer normalisation, or start one process"
        )
    return EngineChoice(
        TorchEngine(workers), f"{workers.count} workers share each minibatch, which it can"
    )


def choose(plan: Plan) -> EngineChoice:
    """The engine that the recipe asks for; "auto" the native one where it can run and is quicker.

    Raises:
        EngineError: With the reason, if the native engine is asked for and cannot run the plan.
    """
    if plan.recipe.engine == "torch":
        return EngineChoice(TorchEngine(), "the recipe asks for it")
    nodes = nodes_of_plan(plan)
    if isinstance(nodes, str):
        if plan.recipe.engine == "native":
            raise EngineError(
                f"the native engine cannot run this plan: {nodes}; set engine to 'torch' or 'auto'"
            )
        return EngineChoice(TorchEngine(), f"not native: {nodes}")
    if plan.recipe.engine == "native":
        return EngineChoice(NativeEngine(), "the recipe asks for it")
    if drawback := native_drawback(nodes):
        return EngineChoice(TorchEngine(), drawback)
    return EngineChoice(NativeEngine(), "it runs all of this net")
