"""Facts about the machine and the project, gathered once for a run's manifest."""

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from functools import cache

from harness.launch.interpreters import interpreter
from harness.machine.resources import (
    FILES_LIMITS,
    core_count,
    cores_for,
    frequency_mhz,
    governor,
    memory_bytes,
    processor,
)
from harness.record import PROJECT, Environment


def gather() -> Environment:
    """Look at this machine."""
    cores = cores_for()
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=libraries(),
        kernel=f"{platform.system()} {platform.release()}",
        cpu=processor(),
        cores=core_count(),
        server_cores=cores.server,
        generator_cores=cores.generators,
        memory_bytes=memory_bytes(),
        open_files_limit=FILES_LIMITS,
        python_build=interpreter(sys.executable).build,
        cpu_mhz=frequency_mhz(),
        cpu_governor=governor(),
    )


@cache
def libraries() -> dict[str, str]:
    """Return the version of every installed library."""
    found = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    return dict(sorted(found.items()))


def revision() -> str:
    """Return the project's git revision, marked if files differ from it; "unknown" outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "implementations", "harness")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + (" with local changes" if changed else "")


def harness_hash() -> str:
    """Return a hash of the harness's own sources."""
    digest = hashlib.sha256()
    for source in sorted((PROJECT / "harness").rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S607 - git is found by its name
    return done.stdout.strip()
