"""Questions one should ask, and what a run says to them."""

from collections.abc import Callable

from harness.analyse.analysis import analyse
from harness.record import Results, SelfCheck
from harness.report.sections.questions import questions_section
from tests.makers import as_markdown, changed


def test_a_ceiling_of_another_day_is_said_to_be_one(make_results: Callable[..., Results]) -> None:
    """The instrument is tested once with the run; made anew since, it tells of the machine as it is then."""
    ceiling = SelfCheck("ceiling", "", "passed", "", {"clients_64_rps": 200_000})
    run = changed(make_results(), selftest=(ceiling,))
    renewed = changed(run, manifest=changed(run.manifest, remark="Made anew on 2026-11-29: selftest."))
    same_day, other_day = (as_markdown(questions_section(analyse(each))) for each in (run, renewed))
    assert "can drive, by the self-test, came" in same_day
    assert "by the self-test, which was made anew since, maybe on a quicker day, came" in other_day


def test_a_run_without_a_test_of_the_instrument_says_so(make_results: Callable[..., Results]) -> None:
    text = as_markdown(questions_section(analyse(changed(make_results(), selftest=()))))
    assert "What the generator can drive at most was not tested with this run." in text
