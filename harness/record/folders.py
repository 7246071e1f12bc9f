"""Where runs lie, and which folder a new one gets."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from harness.errors import UsageError

PROJECT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = PROJECT / "results"
REFERENCE: Final = RESULTS / "reference"


def take(folder: Path) -> None:
    """Make a folder, or use an empty one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: results are never mixed or overwritten")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None


def new_folder() -> Path:
    """Return a name for a new run's folder."""
    return RESULTS / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")


def shown(path: Path) -> str:
    """Return a path as short as it can be."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
