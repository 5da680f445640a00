"""What every benchmark tells its results with: statistics, tables, the machine, files."""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

OUTPUT = Path("build/benchmark")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write to")
    parser.add_argument("--quick", action="store_true", help="so small that it only shows that all works")
    return parser


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share) - 1, 0)]


def span(values: Sequence[float]) -> str:
    """Median, 95th percentile and maximum."""
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} / {percentile(values, 0.95):.2f} / {max(values):.2f}"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and from the least to the most in brackets."""
    if not values:
        return "-"
    least, middle, most = (
        f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} ({least} to {most})"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent."""
    return f"{part / whole:.1%}" if whole else "-"


def ratio(value: float | None, base: float | None) -> str:
    """How many times the base a value is."""
    return "-" if value is None or not base else f"{value / base:.2f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def machine() -> str:
    """Where it was measured, and how busy that was in the last minutes, by us or others."""
    model = "unknown processor"
    if (information := Path("/proc/cpuinfo")).exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load = f"load average of 15 minutes {os.getloadavg()[2]:.1f}"
    return f"{os.cpu_count()} processors ({model}), Python {platform.python_version()}, {load}."


def write(output: Path, name: str, text: str, **pictures: str) -> None:
    """Write and print a report; a picture's key is what its name adds to the report's, `plot` nothing."""
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.md").write_text(f"{text}\n")
    for key, picture in pictures.items():
        (output / f"{name if key == 'plot' else f'{name}_{key}'}.svg").write_text(picture)
    print(f"\n{text}\n\nwritten to {output}", flush=True)


def tell(text: str) -> None:
    """Say how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
