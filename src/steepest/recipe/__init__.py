"""Recipe: every setting of a run, with all that is known of it, written once."""

from steepest.recipe.choices import ACTIVATIONS as ACTIVATIONS
from steepest.recipe.choices import DATA_SETS as DATA_SETS
from steepest.recipe.choices import SCALINGS as SCALINGS
from steepest.recipe.names import setting_called as setting_called
from steepest.recipe.recipe import Recipe as Recipe
from steepest.recipe.setting import GROUPS as GROUPS
from steepest.recipe.setting import Setting as Setting
from steepest.recipe.setting import default_text as default_text
from steepest.recipe.setting import is_met as is_met
from steepest.recipe.setting import setting_of as setting_of
from steepest.recipe.settings import SETTINGS as SETTINGS
from steepest.recipe.settings import settings_by_group as settings_by_group
from steepest.recipe.values import GROUP_SETTINGS as GROUP_SETTINGS
from steepest.recipe.values import Values as Values
from steepest.recipe.values import written as written
