"""Each rule is written once, and what it says of others is true."""

import json
from pathlib import Path

import pytest

import steepest.health  # noqa: F401  # every rule is registered
from steepest.health.findings import registry
from steepest.health.findings.experiments import Experiment
from steepest.health.findings.finding import Evidence, Finding
from steepest.health.findings.ranking import findings_of
from steepest.health.findings.registry import RANKS, Phase, functions_of, make_finding, rule, rules

PAGES = Path(__file__).parents[3] / "docs" / "health"


def test_a_code_is_registered_once():
    assert len(rules()) >= 65
    with pytest.raises(ValueError, match="registered twice"):
        rule("DEAD_RELU", "again", rank="model", place=1, severity="warn")


def test_no_two_causes_have_one_place():
    assert len({known.order for known in rules().values()}) == len(rules())
    assert {known.rank for known in rules().values()} == set(RANKS)


@pytest.mark.parametrize("known", rules().values(), ids=lambda known: known.code)
def test_a_rule_has_its_page_and_explains_others(known):
    assert (PAGES / known.page).read_text().startswith(f"# {known.code}\n")
    assert known.explains <= set(rules()) - {known.code}


def test_every_page_is_of_a_rule():
    others = {"README.md", "benchmark.md"}
    assert {path.name for path in PAGES.glob("*.md")} - others == {r.page for r in rules().values()}


def test_every_phase_has_functions_in_the_order_of_causes():
    for phase in Phase:
        places = list(functions_of(phase).values())
        assert places
        assert places == sorted(places)


def test_a_finding_is_at_most_as_severe_as_its_rule():
    assert make_finding("DEAD_RELU", "m", "f").severity == rules()["DEAD_RELU"].severity == "error"
    assert make_finding("LABEL_NOISE", "m", "f").severity == "info"
    with pytest.raises(ValueError, match="LABEL_NOISE is of severity info, not warn"):
        make_finding("LABEL_NOISE", "m", "f", severity="warn")


def test_what_is_looked_for_must_be_a_rule():
    with pytest.raises(KeyError):
        registry.looks_for("NO_SUCH_RULE", Phase.STEP)


@pytest.mark.parametrize("known", rules().values(), ids=lambda known: known.code)
def test_only_an_experiment_of_its_rule_confirms_a_finding(known):
    def confirmed(*experiments):
        evidence = [Evidence("0.3", "0.1", experiment=one) for one in experiments]
        return make_finding(known.code, "m", "f", evidence, confidence="confirmed")

    with pytest.raises(ValueError, match="its evidence has no experiment"):
        confirmed("")
    for one in Experiment:
        if one in known.confirmed_by:
            assert confirmed("", one).experiments == (one,)
        else:
            with pytest.raises(ValueError, match=f"{known.code} cannot be confirmed by {one}"):
                confirmed(one)


def test_every_experiment_has_somebody_who_runs_it():
    source = Path(registry.__file__).parents[2]
    text = "\n".join(p.read_text() for p in source.rglob("*.py") if p.stem != "experiments")
    for one in Experiment:
        assert f"Experiment.{one.name}" in text


def test_a_record_of_before_is_not_more_sure_than_it_shows():
    new = make_finding(
        "LR_TOO_HIGH",
        "m",
        "f",
        [Evidence("0.3", "0.1", experiment=Experiment.STEPS_AGAIN)],
        confidence="confirmed",
    )
    plain = new.to_dict()
    assert findings_of([json.dumps(plain)])[0] == new
    assert "sure      confirmed by an experiment: the same steps" in str(
        findings_of([json.dumps(plain)])
    )
    del plain["evidence"][0]["experiment"]
    old = findings_of([json.dumps(plain)])[0]
    assert isinstance(old, Finding)
    assert old.confidence == "suspected"
