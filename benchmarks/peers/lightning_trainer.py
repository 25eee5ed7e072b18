"""Lightning's Trainer without logger, checkpoints and bars, over a DataLoader."""

import logging
import warnings
from collections.abc import Callable

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from peers.torch_loops import net
from workloads import Workload


class _Module(lightning.LightningModule):
    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.net, self.workload = net(workload), workload
        self.total = torch.zeros(())

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        inputs, targets = batch
        loss = nn.functional.cross_entropy(self.net(inputs), targets)
        self.total += loss.detach() * len(targets)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            self.parameters(), lr=self.workload.lr, momentum=self.workload.momentum
        )


def epoch(workload: Workload) -> Callable[[], float]:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    x, y = torch.from_numpy(workload.scaled), torch.from_numpy(workload.targets)
    loader = DataLoader(TensorDataset(x, y), batch_size=workload.batch_size, shuffle=True)

    def run() -> float:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            barebones=False,
        )
        module = _Module(workload)
        trainer.fit(module, loader)
        return module.total.item() / len(x)

    return run
