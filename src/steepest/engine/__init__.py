"""Engines: what moves a model down its gradient, behind one contract."""

from steepest.engine.augment import Augmentation as Augmentation
from steepest.engine.choose import Choice as Choice
from steepest.engine.choose import choose as choose
from steepest.engine.contract import BLOCKS_MIXED as BLOCKS_MIXED
from steepest.engine.contract import NO_STEPS as NO_STEPS
from steepest.engine.contract import Engine as Engine
from steepest.engine.contract import LayerStats as LayerStats
from steepest.engine.contract import OptimiserState as OptimiserState
from steepest.engine.contract import Plan as Plan
from steepest.engine.contract import StepStats as StepStats
from steepest.engine.flops import FlopCounter as FlopCounter
from steepest.engine.forward import forward as forward
from steepest.engine.forward import input_dtype as input_dtype
from steepest.engine.forward import module_mode as module_mode
from steepest.engine.forward import reference_parameter as reference_parameter
from steepest.engine.forward import single_values_kept_apart as single_values_kept_apart
from steepest.engine.groups import parameter_settings as parameter_settings
from steepest.engine.native import NativeEngine as NativeEngine
from steepest.engine.native import native_obstacle as native_obstacle
from steepest.engine.process import may_draw as may_draw
from steepest.engine.process import process_state as process_state
from steepest.engine.process import seed_generators as seed_generators
from steepest.engine.process import seeded as seeded
from steepest.engine.rows import Rows as Rows
from steepest.engine.torch import TorchEngine as TorchEngine
