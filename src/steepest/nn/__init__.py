"""Modules that torch.nn lacks, a builder, and a description of modules as plain data."""

from steepest.nn.architecture import build as build
from steepest.nn.architecture import describe as describe
from steepest.nn.batch_ensemble import EnsembleMean as EnsembleMean
from steepest.nn.batch_ensemble import EnsembleView as EnsembleView
from steepest.nn.batch_ensemble import LinearBatchEnsemble as LinearBatchEnsemble
from steepest.nn.batch_ensemble import LinearEnsemble as LinearEnsemble
from steepest.nn.convolutional import convolutional as convolutional
from steepest.nn.convolutional import multiply_adds as multiply_adds
from steepest.nn.embedding import CategoryEmbedding as CategoryEmbedding
from steepest.nn.embedding import PeriodicEmbedding as PeriodicEmbedding
from steepest.nn.ensemble import Ensemble as Ensemble
from steepest.nn.from_recipe import net_of as net_of
from steepest.nn.linear import LinearLayer as LinearLayer
from steepest.nn.mlp import ACTIVATIONS as ACTIVATIONS
from steepest.nn.mlp import mlp as mlp
from steepest.nn.mlp import redraw as redraw
from steepest.nn.outline import outline as outline
from steepest.nn.outline import outputs_of as outputs_of
from steepest.nn.parametric import ParametricActivation as ParametricActivation
from steepest.nn.residual import Residual as Residual
from steepest.nn.scaling import ScalingLayer as ScalingLayer
from steepest.nn.sharing import overlaps_itself as overlaps_itself
from steepest.nn.sharing import shared_memory as shared_memory
from steepest.nn.sharing import shares_parts as shares_parts
