"""Programs that say what an interpreter would say, and can do nothing else."""

import json
from pathlib import Path

BUILD = {
    "profile_guided": False,
    "link_time": False,
    "debug": False,
    "free_threaded": False,
    "jit": False,
    "compiler": "GCC 12.2.0",
}
VENV_AND_PIP = """
case "$1 $2" in
"-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; exit;;
"-m pip") for last; do :; done; grep -q "^{refused}" "$last" || exit 0
    echo "ERROR: No matching distribution found for {refused}" >&2; exit 1;;
esac"""


def pretend(
    path: Path,
    *,
    name: str = "CPython",
    version: str = "3.14.0",
    imports: str = "echo no such >&2; exit 1",
    before: str = "",
    **build: object,
) -> str:
    """Make one that says it is of some version; the shell does what comes of importing anything."""
    major, minor, *_ = version.split(".")
    told = {"name": name, "version": version, "major_minor": [int(major), int(minor)], "build": BUILD | build}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!/bin/sh\n{before}\ncase \"$2\" in *platform*) echo '{json.dumps(told)}';; *) {imports};; esac\n"
    )
    path.chmod(0o755)
    return str(path)


def pretend_to_install(path: Path, refused: str, *, imports: str = "echo 1.0 True", **about: str) -> str:
    """Make one that has environments made for it, into which everything can be installed but one library."""
    return pretend(path, before=VENV_AND_PIP.format(refused=refused), imports=imports, **about)
