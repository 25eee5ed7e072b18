"""How many of the rows that LABEL_NOISE suspects are wrong: python benchmarks/label_noise.py.

A share of the rows gets another class, drawn evenly, at three seeds. Told: at how many of them
`sp.check` gives the note. Of the suspects, whether it is given or not: how many of the changed rows
are among them (recall), and how many of them were changed (precision; rows that were wrong before
count as right), of all and of the twenty surest, which the note names.
"""

import re
import statistics

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp
from steepest.health.check.data import Table, neighbours
from steepest.health.check.rules.labels import suspects
from steepest.health.findings.finding import Finding

SETS = "iris", "wine", "breast_cancer", "digits", "fashion_mnist"
SHARES, SEEDS = (0.0, 0.02, 0.05, 0.1, 0.2), 3


def rows_of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    train = sp.load_data(name).train
    X, y = torch.tensor(train.inputs).flatten(1), torch.tensor(train.labels).long()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return X[order], y[order]


def wrong(y: torch.Tensor, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels of which a share is another class, and which they are."""
    draw, changed = torch.Generator().manual_seed(seed), torch.zeros(len(y), dtype=torch.bool)
    rows = torch.randperm(len(y), generator=draw)[: round(share * len(y))]
    changed[rows] = True
    classes = int(y.max()) + 1
    given = y.clone()
    given[rows] = (y[rows] + torch.randint(1, classes, (len(rows),), generator=draw)) % classes
    return given, changed


def note(X: torch.Tensor, y: torch.Tensor) -> Finding | None:
    model = nn.Sequential(nn.Linear(X.shape[1], 32), nn.ReLU(), nn.Linear(32, int(y.max()) + 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(X.float(), y), 32, shuffle=True)
    findings = sp.check(model, nn.CrossEntropyLoss(), optimizer, loader)
    return next((f for f in findings if f.code == "LABEL_NOISE"), None)


def named_by(finding: Finding) -> torch.Tensor:
    numbers = re.search(r"rows ([\d, ]+)$", finding.evidence[0].where)
    assert numbers is not None
    return torch.tensor([int(n) for n in numbers[1].split(",")])


def measure(name: str, X: torch.Tensor, y: torch.Tensor, share: float) -> str:
    told, figures = 0, []
    for seed in range(SEEDS):
        given, changed = wrong(y, share, seed)
        table = Table(X, given, torch.arange(len(y))).some()
        assert table.numbers is not None
        found = table.numbers[suspects(table, neighbours(table).votes)]
        there = changed[table.numbers].sum()
        finding = note(X, given)
        told += finding is not None
        surest = found[:20] if finding is None else named_by(finding)
        assert finding is None or surest.tolist() == found[:20].tolist()
        hits = changed[found]
        figures.append(
            (
                len(found) / len(table),
                float(hits.sum() / max(there, 1)),
                float(hits.float().mean()) if len(hits) else float("nan"),
                float(changed[surest].float().mean()) if len(surest) else float("nan"),
            )
        )
    suspected, *rest = (statistics.mean(column) for column in zip(*figures, strict=True))
    shown = " | ".join("-" if not share or r != r else f"{r:.0%}" for r in rest)
    return f"| {name} | {share:.0%} | {told} of {SEEDS} | {suspected:.1%} | {shown} |"


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| data | wrong labels | told | suspects | recall | precision | of those named |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in SETS:
        X, y = rows_of(name)
        for share in SHARES:
            print(measure(f"{name}, {min(len(y), 2000)} rows", X, y, share), flush=True)


if __name__ == "__main__":
    main()
