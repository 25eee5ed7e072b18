"""Loops that other libraries make: healthy ones are silent, a fault is named, no bit is changed."""

import logging
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as sp

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, and our HealthWarning

X, y = load_digits(return_X_y=True)
X = ((X - X.mean(0)) / (X.std(0) + 1e-6)).astype(np.float32)
y = y.astype(np.int64)


def net(probabilities=False):
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10)]
    return nn.Sequential(*layers, *[nn.Softmax(1)] * probabilities)


def loader(rows=slice(None), batch_size=32):
    rows = TensorDataset(torch.tensor(X[rows]), torch.tensor(y[rows]))
    return DataLoader(rows, batch_size, shuffle=True, generator=torch.Generator().manual_seed(0))


def codes(findings):
    return [finding.code for finding in findings]


def with_skorch(rate, epochs, watched=True):
    skorch = pytest.importorskip("skorch")
    from skorch.callbacks import GradientNormClipping, LRScheduler

    steady = [GradientNormClipping(5.0), LRScheduler("StepLR", step_size=5)] if rate < 1 else []
    classifier = skorch.NeuralNetClassifier(
        net(),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=rate,
        max_epochs=epochs,
        batch_size=32,
        callbacks=steady,
        verbose=0,
    ).initialize()
    torch.manual_seed(1)
    if not watched:
        classifier.partial_fit(X, y)
        return None, classifier.module_
    parts = classifier.module_, classifier.criterion_, classifier.optimizer_
    with sp.watch(*parts) as w:
        classifier.partial_fit(X, y)
    return w, classifier.module_


def with_accelerate(rate, epochs, watched=True):
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model, criterion = net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    model, optimizer, train = accelerator.prepare(model, optimizer, loader(batch_size=16))

    def loop():
        torch.manual_seed(1)
        for _ in range(epochs):
            for inputs, targets in train:
                with accelerator.accumulate(model):
                    accelerator.backward(criterion(model(inputs), targets))
                    optimizer.step()
                    optimizer.zero_grad()

    if not watched:
        loop()
        return None, model
    with sp.watch(model, criterion, optimizer, train) as w:
        loop()
    return w, model


def with_lightning(rate, epochs, watched=True):
    lightning = pytest.importorskip("lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Classifier(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.loss = net(), nn.CrossEntropyLoss()

        def training_step(self, batch, number):
            return self.loss(self.net(batch[0]), batch[1])

        def validation_step(self, batch, number):
            self.log("val_loss", self.loss(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=rate, momentum=0.9)

    class Watch(lightning.Callback):
        watch = None

        def on_train_start(self, trainer, module):
            parts = module.net, module.loss, trainer.optimizers, trainer.train_dataloader
            self.watch = sp.watch(*parts)
            self.watch.__enter__()

        def on_train_end(self, trainer, module):
            self.watch.__exit__(None, None, None)

    module, watch = Classifier(), Watch()
    torch.manual_seed(1)
    lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[watch] if watched else [],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, loader(slice(0, 1400)), loader(slice(1400, None)))
    return watch.watch, module.net


LIBRARIES = [with_skorch, with_accelerate, with_lightning]


@pytest.mark.parametrize("train", LIBRARIES)
def test_a_healthy_training_is_silent_and_has_the_same_bits(train):
    w, model = train(0.02, 6)
    assert codes(w.findings) == []
    model.eval()
    assert (model(torch.tensor(X)).argmax(1).numpy() == y).mean() > 0.95
    _, alone = train(0.02, 6, watched=False)
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("train", LIBRARIES)
def test_a_rate_that_is_too_high_is_named(train):
    w, _ = train(300.0, 6)
    assert codes(w.findings)[:1] == ["LR_TOO_HIGH"]


def test_keras_on_torch(monkeypatch):
    keras = keras_on_torch(monkeypatch)
    healthy, ruined = (fitted(keras, rate) for rate in (0.01, 300.0))
    assert codes(healthy.findings) == []
    assert codes(ruined.findings)  # without its optimizer the cause is not to be told
    with pytest.raises(TypeError, match="leave it out if it is another library's"):
        sp.watch(net(), nn.CrossEntropyLoss(), keras.optimizers.SGD())


def keras_on_torch(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def fitted(keras, rate):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((64,)), layers.Dense(64), layers.BatchNormalization(), layers.ReLU(),
         layers.Dropout(0.1), layers.Dense(10)]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(rate, momentum=0.9), loss=loss)
    with sp.watch(model, model.loss) as w:
        model.fit(X, y, batch_size=32, epochs=5, verbose=0, validation_split=0.2)
    return w


def test_what_a_library_holds_can_be_checked_before_it_trains():
    skorch = pytest.importorskip("skorch")
    wrong = skorch.NeuralNetClassifier(
        net(probabilities=True), criterion=nn.CrossEntropyLoss, batch_size=32
    ).initialize()
    rows = wrong.get_iterator(wrong.get_dataset(X, y), training=True)
    found = sp.check(wrong.module_, wrong.criterion_, wrong.optimizer_, rows)
    assert codes(found)[:1] == ["LOSS_EXPECTS_LOGITS"]
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = net()
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)  # of another net
    parts = accelerator.prepare(model, optimizer, loader())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = sp.check(parts[0], nn.CrossEntropyLoss(), parts[1], parts[2])
    assert codes(found)[:1] == ["PARAMS_NOT_IN_OPTIMISER"]
