"""Programs are what they say, and the findings about them are right, at one seed each.

What takes minutes runs by command: admission.py and score.py, with more seeds.
"""

import json

import pytest
import torch

from faults.admission import RESULTS, admit
from faults.case import Fault, Outcome, Score
from faults.judge import Steepest, Unwatched, Verdict, judge, observe, totals, wilson
from faults.programs import programs
from steepest.health.findings.finding import Finding

PUBLIC = programs(["public"])
HEALTHY = programs(["controls"])
SEQUENCES = programs(["second"], ["S07", "S14", "T23"])  # without Fashion-MNIST


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def named(name):
    return programs(only=[name])[0]


def test_every_public_program_and_control_is_there():
    assert [p.name for p in PUBLIC] == [f"P{k:02}" for k in range(1, 26)]
    assert len(HEALTHY) >= 36
    assert len(programs(["variants"])) >= 15
    assert all(p.fault for p in programs(["public", "variants"]))
    assert not any(p.fault for p in HEALTHY)
    numbers = {g: [int(p.name[1:]) for p in programs([g])] for g in ("second", "unread")}
    assert sorted(numbers["second"] + numbers["unread"]) == sorted(2 * list(range(1, 28)))
    assert all(k % 3 == 0 for k in numbers["unread"])


def test_every_program_was_admitted_at_five_seeds():
    results = json.loads(RESULTS.read_text())
    for program in programs():
        result = results[program.name]
        assert result["admitted"], program.name
        assert len(result["healthy"]["accuracy"]) == 5
        if program.fault:
            assert result["truth"] == program.fault.truth


@pytest.mark.parametrize("name", ["P13", "P19", "D10"])
def test_a_fault_harms_and_its_repair_cures(name):
    assert admit(named(name), seeds=2)["admitted"]


def test_a_program_is_the_same_each_time_and_another_with_another_seed():
    one, same, other = (named("P22").case(seed) for seed in (3, 3, 4))
    weights = [c.model[0].weight for c in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    batches = [next(iter(c.train_loader))[0] for c in (one, same)]
    assert torch.equal(*batches)


class Says:
    """A tool that always says the same."""

    def __init__(self, *findings):
        self.found = findings

    def before(self, case):
        return self.found

    def around(self, case):
        return Unwatched()


def says(code, severity="warn"):
    return Says(Finding(code, severity, "because", "a line of code"))


def test_the_right_code_is_right_and_cures():
    fault, twin = judge(named("P19"), 0, says("LR_TOO_LOW"))
    assert (fault.right, fault.validated, fault.noise, fault.step) == (True, True, [], 0)
    assert twin.actionable == ["LR_TOO_LOW"]


def test_a_wrong_code_is_noise_and_does_not_cure():
    fault, _ = judge(named("P19"), 0, says("DEAD_RELU"))
    assert (fault.right, fault.validated, fault.noise) == (False, False, ["DEAD_RELU"])


def test_a_wrong_code_whose_fix_cures_is_validated():
    fault, _ = judge(named("P08"), 0, says("INIT_TOO_LARGE"))
    assert (fault.right, fault.validated) == (False, True)


def test_infos_are_neither_detection_nor_alarm():
    fault, twin = judge(named("P19"), 0, says("LR_TOO_LOW", "info"))
    assert not fault.detected
    assert (twin.actionable, twin.infos) == ([], 1)


def test_a_code_of_several_meanings_is_read_in_favour_of_the_tool():
    fault, _ = judge(named("P19"), 0, says("DEAD_RELU|LR_TOO_LOW"))
    assert fault.right


def test_wilson():
    # Brown, Cai and DasGupta (2001): no hit in 40 still allows 8.8 %.
    low, high = wilson(0, 40)
    assert (low, round(high, 3)) == (0.0, 0.088)
    assert [round(x, 3) for x in wilson(5, 10)] == [0.237, 0.763]


def test_alarms_count_programs_and_shares_count_seeds():
    runs = [
        Verdict("A", "public", 0, False, right=True, actionable=["X"]),
        Verdict("A", "public", 1, False, right=False, actionable=["X"], noise=["X"]),
        Verdict("A", "public", 0, True, actionable=["X"]),
        Verdict("A", "public", 1, True),
        Verdict("C", "controls", 0, True),
    ]
    figures = totals(runs)
    assert figures["right"]["share"] == 0.5
    assert figures["noise per run"] == 0.5
    assert figures["programs with a warning"]["share"] == 0.5


def test_steps_to_an_accuracy():
    outcome = Outcome([Score(1.0, 0.5), Score(0.5, 0.9)], [10, 20])
    assert outcome.steps_to(0.8) == 20
    assert outcome.steps_to(0.95) == float("inf")
    assert Fault("A", accept=("B",)).right == {"A", "B"}


@pytest.mark.parametrize("program", PUBLIC, ids=lambda p: p.name)
def test_the_cause_of_a_public_program_is_named_first(program):
    verdict, _ = observe(program, 0, Steepest())
    assert verdict.first in program.fault.right, (
        verdict.actionable,
        verdict.message,
        verdict.crash,
    )
    assert not verdict.crash


@pytest.mark.parametrize("program", SEQUENCES, ids=lambda p: p.name)
def test_a_program_of_sequences_is_judged_rightly(program):
    verdict, _ = observe(program, 0, Steepest(), healthy=not program.fault)
    assert not verdict.crash
    if program.fault:
        assert verdict.first in program.fault.right, (verdict.actionable, verdict.message)
    else:
        assert not verdict.actionable, verdict.message


@pytest.mark.parametrize("program", HEALTHY[::4], ids=lambda p: p.name)
def test_nothing_is_wrong_with_a_control(program):
    verdict, _ = observe(program, 0, Steepest(), healthy=True)
    assert not verdict.actionable, verdict.message
    assert not verdict.crash
