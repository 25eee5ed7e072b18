"""Data: from any source to the rows that a net takes."""

from steepest.data.classes import Classes as Classes
from steepest.data.columns import WORDS as WORDS
from steepest.data.columns import Column as Column
from steepest.data.columns import Place as Place
from steepest.data.columns import as_numbers as as_numbers
from steepest.data.columns import as_truth as as_truth
from steepest.data.encoding import TableEncoder as TableEncoder
from steepest.data.joined import JoinedPreprocessing as JoinedPreprocessing
from steepest.data.joined import preprocessing_from_json as preprocessing_from_json
from steepest.data.labels import not_one_hot as not_one_hot
from steepest.data.load import is_named as is_named
from steepest.data.load import load_data as load_data
from steepest.data.load import load_rows as load_rows
from steepest.data.memory import available_memory as available_memory
from steepest.data.numeric import NumericTransform as NumericTransform
from steepest.data.piecewise import PiecewiseColumns as PiecewiseColumns
from steepest.data.preprocessing import Inputs as Inputs
from steepest.data.preprocessing import PreparedPart as PreparedPart
from steepest.data.preprocessing import Preprocessing as Preprocessing
from steepest.data.samples import Dataset as Dataset
from steepest.data.samples import Samples as Samples
from steepest.data.scaling import Scaler as Scaler
from steepest.data.split import split as split
from steepest.data.text import MISSING as MISSING
