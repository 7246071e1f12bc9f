"""What is told of the machine and of Python, and what of it may differ between the sittings of a run."""

from collections.abc import Callable

from msgspec.structs import replace

from harness.record import Manifest, PythonBuild, Results
from harness.report.sections.method import what_was_measured
from harness.study.resume import differing_setting
from tests.makers import as_markdown

BUILD = PythonBuild(
    profile_guided=True, link_time=False, debug=False, free_threaded=True, compiler="GCC 12.2.0"
)


def with_environment(manifest: Manifest, **changes: object) -> Manifest:
    return replace(manifest, environment=replace(manifest.environment, **changes))


def test_the_report_says_how_python_was_built_and_nothing_if_that_was_not_kept(
    make_results: Callable[..., Results],
) -> None:
    manifest = make_results().manifest
    assert "built" not in as_markdown(what_was_measured(manifest))
    known = with_environment(
        manifest, python_build=BUILD, cpu_mhz=2100.4, cpu_governor="powersave, 800 to 3,600 MHz"
    )
    assert (
        "This Python was built by GCC 12.2.0, with PGO, without LTO, without the global lock; "
        "the processor ran at 2,100 MHz (governor powersave, 800 to 3,600 MHz). "
    ) in as_markdown(what_was_measured(known))


def test_a_run_is_not_gone_on_with_under_another_python_but_at_another_frequency(
    make_results: Callable[..., Results],
) -> None:
    old = make_results().manifest
    begun = with_environment(old, python_build=BUILD, cpu_mhz=2100.0, cpu_governor="powersave")

    def differing(before: Manifest, **changes: object) -> list[str]:
        return list(differing_setting(before, with_environment(begun, **changes)))

    assert differing(begun, cpu_mhz=800.0) == []
    assert differing(begun, cpu_governor="performance") == ["the machine's cpu_governor"]
    assert differing(begun, python_build=replace(BUILD, debug=True)) == ["the machine's python_build"]
    assert differing(old) == []  # it kept nothing of the kind
