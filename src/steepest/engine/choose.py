"""Which engine runs a plan, and why: never a silent fallback."""

from dataclasses import dataclass

from steepest.engine.contract import Engine, Plan
from steepest.engine.native import NativeEngine, native_obstacle
from steepest.engine.torch import TorchEngine
from steepest.errors import EngineError


@dataclass(frozen=True)
class EngineChoice:
    """The engine for a plan and, in one line, why it is this one."""

    engine: Engine
    reason: str


def choose(plan: Plan) -> EngineChoice:
    """The engine that the recipe asks for; "auto" takes the native one wherever it can run.

    Raises:
        EngineError: With the reason, if the native engine is asked for and cannot run the plan.
    """
    if plan.recipe.engine == "torch":
        return EngineChoice(TorchEngine(), "the recipe asks for it")
    obstacle = native_obstacle(plan)
    if obstacle is None:
        asked = plan.recipe.engine == "native"
        return EngineChoice(
            NativeEngine(), "the recipe asks for it" if asked else "it runs all of this net"
        )
    if plan.recipe.engine == "native":
        raise EngineError(
            f"the native engine cannot run this plan: {obstacle}; set engine to 'torch' or 'auto'"
        )
    return EngineChoice(TorchEngine(), f"not native: {obstacle}")
