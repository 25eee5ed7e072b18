"""The real Ray Train: a training by two of its workers, one of which dies on the way."""

import os
import signal

import numpy as np
import pytest

import steepest as sp

ray = pytest.importorskip("ray")
pytest.importorskip("ray.train")

SETTINGS = {"hidden": (16,), "epochs": 5, "engine": "torch", "check": False, "watch": False}


def loop(config):
    """What each worker does; the second one dies once, after the second checkpoint."""
    import os
    import signal
    import threading
    import time
    from pathlib import Path

    import steepest as sp

    folder, died = Path(config["out"]), Path(config["out"] + "-died")

    def die():
        while not list((folder / "checkpoints").glob("step-*40.json")):
            time.sleep(0.005)
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    if os.environ["RANK"] == "1" and not died.exists():
        threading.Thread(target=die, daemon=True).start()
    if (folder / "layout.json").exists():
        run = sp.resume(folder, progress="none")
    else:
        run = sp.train(
            data="digits", out=folder, checkpoint_steps=20, progress="none", **config["settings"]
        )
    assert run.status == "finished"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # its own calls
def test_a_worker_of_ray_train_dies_and_the_curve_is_that_of_one_process(tmp_path, monkeypatch):
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_TRAIN_V2_ENABLED", "1")):
        monkeypatch.setenv(name, value)
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    before = signal.getsignal(signal.SIGTERM)
    ray.init(  # its own, whatever cluster another test has on this machine
        address="local",
        num_cpus=2,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
    )
    try:
        TorchTrainer(
            loop,
            train_loop_config={"out": str(tmp_path / "run"), "settings": SETTINGS},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(
                name="a",
                storage_path=str(tmp_path / "ray"),
                failure_config=FailureConfig(max_failures=1),
            ),
        ).fit()
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "run-died").exists()
    run = sp.load_run(tmp_path / "run")
    assert run.status == "finished"
    assert run.history["epoch"].to_list() == list(range(5))
    alone = sp.train(data="digits", progress="none", **SETTINGS)
    np.testing.assert_allclose(run.history["train_loss"], alone.history["train_loss"], rtol=1e-3)
    assert os.environ.get("RANK") is None
