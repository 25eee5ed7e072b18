"""The trained classifier: predict, evaluate, save and open."""

from steepest.classifier.classifier import Classifier as Classifier
from steepest.classifier.classifier import Score as Score
from steepest.classifier.classifier import score_of as score_of
from steepest.classifier.classifier import scores_of as scores_of
from steepest.classifier.evaluation import CalibrationBin as CalibrationBin
from steepest.classifier.evaluation import ClassScore as ClassScore
from steepest.classifier.evaluation import Evaluation as Evaluation
from steepest.classifier.importance import permutation_importance as permutation_importance
from steepest.classifier.storage import open_classifier as open_classifier
from steepest.classifier.storage import save_classifier as save_classifier
from steepest.classifier.temperature import calibrated_loss as calibrated_loss
from steepest.classifier.temperature import fitted_temperature as fitted_temperature
from steepest.classifier.temperature import log_loss as log_loss
