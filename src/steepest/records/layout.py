"""The tables of both records, layout 1: table -> column -> type, in the order of writing.

A run's are written by `run/record.py`, a sweep's by `sweeps/record.py`. The board reads both.
"""

RUN_LAYOUT, SWEEP_LAYOUT = 1, 1
RUN_RECORD, SWEEP_RECORD = "record.sqlite", "sweep.sqlite"
LAYOUT_FILE, RECIPE_FILE = "layout.json", "recipe.toml"
# Held by the process that works on a run; asks it to stop, as Ctrl-C does.
LOCK_FILE, STOP_FILE = "lock", "stop"
# Of a sweep: the folder of the runs that keep their weights.
BEST_RUNS = "best"

_EPOCHS: dict[str, type] = {
    "epoch": int,
    "step": int,
    "train_loss": float,
    "train_acc": float,
    "val_loss": float,
    "val_acc": float,
    "lr": float,
    "seconds": float,
}
_LAYERS: dict[str, type] = {
    "name": str,
    "weight_norm": float,
    "gradient_norm": float,
    "update_ratio": float,
    "activation_mean": float,
    "activation_std": float,
    "inactive": float,
}
RUN_TABLES: dict[str, dict[str, type]] = {
    "epochs": _EPOCHS,
    "intervals": {
        "epoch": int,
        "batch": int,
        "step": int,
        "lr": float,
        "rows": int,
        "loss": float,
        "accuracy": float,
    },
    "layers": {"step": int, **_LAYERS},
    "events": {"time": float, "kind": str, "text": str},
    "findings": {"step": int, "code": str, "severity": str, "details": str},
    # Of the validation part, beside loss and accuracy: what the best epoch is the best by.
    "metrics": {"step": int, "name": str, "value": float},
    # Of each net of several; step: that all nets have done together.
    "net_layers": {"step": int, "net": int, **_LAYERS},
}
# What the first records of a run did not have yet.
ADDED_LATER = {"findings", "metrics", "net_layers"}
# What a column was called in the first records of a run; its place is the same.
_FORMER_NAMES = {"intervals": {"batch": "i"}, "layers": {"inactive": "idle"}}

SWEEP_TABLES: dict[str, dict[str, type]] = {
    "facts": {"key": str, "value": str},
    "trials": {"trial": int, "settings": str},
    "plan": {"trial": int, "seed": int, "run": str},
    "runs": {
        "run": str,
        "status": str,
        "cause": str,
        "epochs": int,
        "step": int,
        "train_loss": float,
        "train_acc": float,
        "val_loss": float,
        "val_acc": float,
        "test_loss": float,
        "test_acc": float,
        "best_epoch": int,
        "best_val_loss": float,
        "seconds": float,
    },
    "epochs": {"run": str, **_EPOCHS},
    "decisions": {"trial": int, "epochs": int, "value": float, "decision": str},
}
_KEYS = {"facts": "key", "trials": "trial", "plan": "trial, seed", "runs": "run"}
_KEYS |= {"epochs": "run, epoch", "decisions": "trial, epochs"}

_SQL_TYPES = {int: "INTEGER", float: "REAL", str: "TEXT"}


def _typed(columns: dict[str, type]) -> str:
    return ", ".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in columns.items())


def _former(table: str, names: dict[str, str]) -> str:
    columns = {names.get(name, name): kind for name, kind in RUN_TABLES[table].items()}
    return f"CREATE TABLE {table} ({_typed(columns)})"


# The statement that makes each table.
RUN_SCHEMA = {"facts": "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL)"} | {
    table: f"CREATE TABLE {table} ({_typed(columns)})" for table, columns in RUN_TABLES.items()
}
SWEEP_SCHEMA = {
    table: f"CREATE TABLE {table} ({_typed(columns)}, PRIMARY KEY ({_KEYS[table]}))"
    for table, columns in SWEEP_TABLES.items()
}
_FORMER_SCHEMA = {_former(table, names) for table, names in _FORMER_NAMES.items()}


def unlike_a_run(found: dict[str, str]) -> str | None:
    """What keeps these tables from being those of a run's record, or None.

    A view or a generated column of a stranger's file could compute for ever: both are refused.

    found: name -> statement, as sqlite_schema has them.
    """
    strange = [
        name
        for name, sql in found.items()
        if RUN_SCHEMA.get(name) != sql and sql not in _FORMER_SCHEMA
    ]
    lacking = [name for name in RUN_SCHEMA if name not in found and name not in ADDED_LATER]
    if strange:
        return f"{strange[0]!r} is not as it should be"
    return f"it lacks {lacking[0]!r}" if lacking else None


def unlike_a_sweep(found: dict[str, str]) -> str | None:
    """The same for the record of a sweep."""
    return None if found == SWEEP_SCHEMA else "its tables are other ones"
