"""What training makes small: the data losses."""

from steepest.objective.losses import binary_cross_entropy as binary_cross_entropy
from steepest.objective.losses import (
    binary_cross_entropy_from_probabilities as binary_cross_entropy_from_probabilities,
)
from steepest.objective.losses import cross_entropy as cross_entropy
from steepest.objective.losses import (
    cross_entropy_from_probabilities as cross_entropy_from_probabilities,
)
from steepest.objective.objective import Objective as Objective
from steepest.objective.objective import is_plain_to_see as is_plain_to_see
from steepest.objective.ranges import Range as Range
from steepest.objective.ranges import lasting_range as lasting_range
from steepest.objective.training_loss import TrainingLoss as TrainingLoss
from steepest.objective.training_loss import class_weights as class_weights
