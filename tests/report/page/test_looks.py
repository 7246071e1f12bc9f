"""How servers are drawn on the page: none like another, even without colours of their own."""

from itertools import groupby

from harness.record import REFERENCE, read_results
from harness.report.figures.look import look
from harness.report.page.looks import dash

OTHERS = ["mine", "yours", "theirs", "a fourth"]


def test_servers_of_one_colour_have_lines_of_different_strokes() -> None:
    servers = [facts.label for facts in read_results(REFERENCE).manifest.servers] + OTHERS

    def tint(server: str) -> str:
        return look(server, servers).tint

    for _, alike in groupby(sorted(servers, key=tint), key=tint):
        strokes = [tuple(dash(server, servers)) for server in alike]
        assert len({*strokes}) == len(strokes)


def test_a_model_has_a_line_without_gaps() -> None:
    assert dash("threaded", ["threaded", "threaded+free", "threaded@3.13"]) == []
