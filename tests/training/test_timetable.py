"""The marks of a run, against walking through it step by step."""

from hypothesis import given
from hypothesis import strategies as st

from steepest.training.timetable import Timetable

TIMES = st.builds(
    Timetable,
    total=st.integers(1, 60),
    steps_per_epoch=st.integers(1, 20),
    log_every=st.integers(1, 15),
    accumulate=st.integers(1, 5),
)


@given(TIMES, st.integers(1, 30), st.integers(1, 9))
def test_no_call_crosses_a_mark_and_every_step_is_taken(times, wanted, every):
    step = epoch = interval = 0  # steps done, and where epoch and interval began
    while step < times.total:
        end = times.interval_end(interval, epoch)
        assert step < end <= times.epoch_end(epoch) <= times.total
        assert end % times.log_every == 0 or end == times.epoch_end(epoch)
        due = (step // every + 1) * every
        count = times.steps_at_once(step, step - epoch, end, min(wanted, end - step), due)
        assert 1 <= count <= end - step
        step += count
        if times.cut is not None:
            assert not step - count < times.cut < step
        gathered = (step - epoch) % times.accumulate == 0
        assert gathered or step in (end, times.cut)
        assert times.is_gathering(step - epoch) == (
            not gathered and step - epoch < times.steps_per_epoch
        )
        interval = step if step == end else interval
        epoch = step if step == times.epoch_end(epoch) else epoch
    assert step == times.total


@given(TIMES)
def test_a_run_cut_short_is_saved_where_its_last_update_is_whole(times):
    beyond = times.total % times.steps_per_epoch
    assert (times.cut is None) == (beyond == 0)
    if times.cut is not None:
        assert (times.cut - (times.total - beyond)) % times.accumulate == 0
        assert times.total - times.accumulate < times.cut <= times.total
