"""`harness list`: which servers and workloads there are."""

import json
from typing import Any

import click

from harness.cli.options import write_to
from harness.cli.terminal import print_rows
from harness.plan import WORKLOADS, Workload, regime_of
from implementations.catalogue import SERVERS


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@click.option("--workloads", is_flag=True, help="The workloads instead of the servers.")
def list_command(*, as_json: bool, workloads: bool) -> None:
    """List the servers, with what they declare, or the workloads."""
    if workloads:
        rows: list[dict[str, Any]] = [
            {
                "name": w.name,
                "clients": w.load.clients,
                "pipeline": w.load.pipeline,
                "company": f"{behind.clients:,} {behind.kind}" if (behind := w.load.background) else "",
                "purpose": w.purpose,
                "separates": w.separates,
            }
            for w in WORKLOADS
        ]
    else:
        rows = [
            {
                "name": i.name,
                "model": i.model,
                "declares": sorted(i.declares),
                "file": i.file,
                "factors": i.factors | {"regime": regime_of(i.declares)},
            }
            for i in SERVERS.values()
        ]
    if as_json:
        write_to("-", json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return
    if workloads:
        print_rows(
            [{"name": w.name, "what, and what it should separate": _in_two_lines(w)} for w in WORKLOADS]
        )
        return
    print_rows([{column: row[column] for column in ("name", "model", "declares")} for row in rows])
    print()
    print_rows([{"name": row["name"], **row["factors"]} for row in rows])
    print("\nEach is implementations/NAME.py; a variant, with a +, is an option of its model's file.")


def _in_two_lines(workload: Workload) -> str:
    return f"{workload.title}: {workload.purpose}\n→ {workload.separates}"
