"""The section on a real database says what the figures say, or that there are none."""

from harness.analyse.database import DATABASE, NAME, UPSTREAM, label_of
from harness.record import Arm, EffectResult, JudgedArm
from harness.report.blocks import Points, Text
from harness.report.sections.database import MISSING, NO_FACE, database_blocks, database_sentences

FREE = {"share": 0.95, "core_share": 0.2, "cpu_us": 100.0}
FULL = {"share": 0.60, "core_share": 0.97, "cpu_us": 300.0}
CROWDED = {"share": 0.70, "core_share": 0.5, "cpu_us": 300.0}
AT_UPSTREAM = {"share": 0.97, "core_share": 0.1, "cpu_us": 40.0}


def said(threads: dict[str, float], tasks: dict[str, float], **at_upstream: float) -> str:
    sides = {
        label_of("threads", DATABASE, 8): threads,
        label_of("tasks", DATABASE, 8): tasks,
        label_of("threads", UPSTREAM, 8): AT_UPSTREAM | at_upstream,
        label_of("tasks", UPSTREAM, 8): AT_UPSTREAM,
    }
    present, absent, *others = (Arm(label, {"clients": 8} | figures) for label, figures in sides.items())
    judged = tuple(JudgedArm(each, to_be_named=False, named=False) for each in others)
    result = EffectResult(NAME, "", "share", "", present, absent, True, False, "", "", "", judged)
    question, answers = database_blocks([result])
    assert isinstance(question, Text)
    assert isinstance(answers, Points)
    return "\n".join((question.text, *answers.items))


def test_where_all_reach_the_ceiling_cpu_decides() -> None:
    text = said(FREE, FREE | {"cpu_us": 220.0})
    assert "**8 clients**: asking the database the relays reach 95% to 95% of the ceiling" in text
    assert "asking our upstream 97% to 97%. So the model decides on CPU alone." in text
    assert "a request takes `threads` 100, `tasks` 220 µs of CPU: nobody" in text
    assert "The driver adds 60 (`threads`) to 180 µs (`tasks`)" in text


def test_who_falls_short_is_named_with_its_core() -> None:
    assert "`tasks` reached 60%, and took 97% of a core: it was out of CPU." in said(FREE, FULL)
    crowded = "`tasks` reached 70%, and took 50% of a core: the database had the core as well."
    assert crowded in said(FREE, CROWDED)


def test_another_order_than_at_our_upstream_is_told() -> None:
    assert "not the order with our upstream: `threads` before `tasks`." in said(FREE, FULL, cpu_us=80.0)


def test_trio_is_named_and_what_was_not_measured() -> None:
    assert NO_FACE in said(FREE, FREE)
    nothing = [Text(f"{MISSING} {NO_FACE}")]
    assert database_blocks([]) == nothing
    other = EffectResult("convoy", "", "", "", Arm("", {}), Arm("", {}), True, False, "", "", "")
    assert not [*database_sentences(other)]
    assert database_blocks([other]) == nothing
