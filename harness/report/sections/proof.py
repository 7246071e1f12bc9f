"""What is said of the suite itself: its mutants, the textbook's servers, false alarms."""

from typing import Final

from harness.analyse.statistics.inference import clopper_pearson
from harness.record import Proof, Verdict
from harness.report.blocks import Blocks, Heading, Text, grid, words

AS_WRITTEN: Final = {
    "blocking_makefile": "a blocking one that reads a text-mode `makefile` and takes the end of input for nothing yet",
    "select_readline": "a `select` one that calls `readline` on a buffered file when the socket is readable",
    "asyncio_readline": "an asyncio one with `readline()` and no limits, timeouts or draining",
    "socketserver_threads": "one on the threads of `socketserver`, which accepts in vain without a pause where there is no "
    "descriptor, and dies where there is no thread",
}
"""The textbook's servers, in words."""


def proof_page(proof: Proof | None) -> Blocks:
    """Tell how good the suite is, with every mutant, and what it says of servers as textbooks write them."""
    if proof is None:
        return []
    return [
        Heading("How good the suite is", 1),
        Text(_mutants_sentence(proof)),
        Text(_alarms_sentence(proof)),
        *_specimens(proof),
        *_mutants(proof),
    ]


def _mutants_sentence(proof: Proof) -> str:
    count, missed = len(proof.trials), len(proof.survivors)
    caught = f"all {count} were" if not missed else f"{count - missed} of {count} were"
    sentence = (
        "A mutant is one of the servers here with one plausible mistake in it, usually of one line. Each was run against the "
        f"case that is there for it: {caught} caught by that very case."
    )
    if not proof.untested:
        return f"{sentence} Every case caught at least one."
    return f"{sentence} No mutant was tried on {', '.join(proof.untested)}."


def _alarms_sentence(proof: Proof) -> str:
    if any(each.runs for each in proof.case_alarms):
        return _case_alarms_sentence(proof)
    runs, alarmed = len(proof.alarm_runs), sum(bool(run.alarms) for run in proof.alarm_runs)
    if not runs:
        return "False alarms: no runs of this state of the suite are on record (`harness false-alarms`)."
    bound = clopper_pearson(alarmed, runs, 0.90)[1]  # its upper half alone is a bound of 95 %
    servers = len({run.server for run in proof.alarm_runs})
    load = sum(run.load for run in proof.alarm_runs) / runs
    return (
        f"False alarms: of {runs} runs of the whole suite on {servers} conforming servers, with every core busy ({load:.1f} "
        f"processes for each, on average), {alarmed or 'none'} had a failure. With 95 % confidence, fewer than {bound:.1%} of runs do."
    )


def _case_alarms_sentence(proof: Proof) -> str:
    known = [each for each in proof.case_alarms if each.runs]
    unknown = [each.case for each in proof.case_alarms if not each.runs]
    runs, alarms = sum(each.runs for each in known), sum(each.alarms for each in known)
    servers = len({run.server for run in proof.alarm_runs})
    load = sum(run.load for run in proof.alarm_runs) / len(proof.alarm_runs)
    bound = max(clopper_pearson(each.alarms, each.runs, 0.90)[1] for each in known)
    sentence = (
        f"False alarms: each case, as it is now, has judged conforming servers at least {min(each.runs for each in known)} "
        f"times, {servers} of them in turn, with every core busy ({load:.1f} processes for each, on average). Of these {runs:,} "
        f"verdicts, {alarms or 'none'} {'were failures' if alarms > 1 else 'was a failure'}. For any one case that means, with 95 % confidence, fewer than {bound:.1%}."
    )
    return f"{sentence} Not yet: {', '.join(unknown)}." if unknown else sentence


def _mutants(proof: Proof) -> Blocks:
    """Show every mutant, and what the suite said of it."""
    rows = []
    for trial in proof.trials:
        verdict = trial.verdict if trial.caught else f"**{trial.verdict}: survives**"
        others = ", ".join(trial.passed) + "".join(f", **{case}**" for case in trial.also_caught_by)
        rows.append((trial.case, trial.title, verdict, others))
    columns = words("case", "a server that …", "verdict", "cases that rightly passed")
    return [Heading("Every mutant"), grid(columns, rows)]


def _specimens(proof: Proof) -> Blocks:
    """Count the cases that the textbook's servers fail, and show each of them."""
    if not proof.findings:
        return []
    names, verdicts, titles = _found(proof)
    counts = [sum(verdicts[case, name].failed for case in titles) for name in names]
    listed = ", ".join(f"`{name}` {count}" for name, count in zip(names, counts, strict=True))
    wrong = [case for case in titles if any(verdicts[case, name].failed for name in names)]
    return [
        Heading("What the textbook version gets wrong"),
        Text(
            "Servers as they are commonly written stand in `harness/conformance/proof/specimens/`: "
            f"{'; '.join(AS_WRITTEN[name] for name in names if name in AS_WRITTEN)}. Of "
            f"{len(titles)} cases they fail: {listed}. A mistake in framing shows in every case that needs it."
        ),
        grid(
            words("case", "promise", *(f"`{name}`" for name in names)),
            ((case, titles[case], *(cell(verdicts[case, name]) for name in names)) for case in wrong),
        ),
    ]


def _found(proof: Proof) -> tuple[list[str], dict[tuple[str, str], Verdict], dict[str, str]]:
    """Return the names of the textbook's servers, the verdicts by case and server, and the cases' titles."""
    names = list(dict.fromkeys(finding.specimen for finding in proof.findings))
    verdicts = {(finding.case, finding.specimen): Verdict(finding.verdict) for finding in proof.findings}
    return names, verdicts, {finding.case: finding.title for finding in proof.findings}


def cell(verdict: Verdict) -> str:
    """Write a verdict as a table shows it: a failure stands out, a pass does not."""
    return (
        f"**{verdict}**"
        if verdict.failed
        else verdict.value.lower()
        if verdict is Verdict.PASS
        else verdict.value
    )
