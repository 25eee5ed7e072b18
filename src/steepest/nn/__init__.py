"""Modules that torch.nn lacks, a builder, and a description of modules as plain data."""

from steepest.nn.architecture import build as build
from steepest.nn.architecture import describe as describe
from steepest.nn.linear import LinearLayer as LinearLayer
from steepest.nn.mlp import mlp as mlp
from steepest.nn.residual import Residual as Residual
