"""Folders of the benchmark, and files made from templates."""

import pathlib
import socket

SOURCE = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = SOURCE.parent.parent
# Everything a run writes. Emptied when a run starts.
TARGET = REPOSITORY / "target" / "bench"
# What is installed for a run and kept between runs.
TOOLS = REPOSITORY / "target" / "bench-tools"

Values = dict[str, object]


def render(source: pathlib.Path, target: pathlib.Path, values: Values) -> None:
    """Copies a file and replaces @NAME@ by values."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(fill(source.read_text(), values))


def fill(text: str, values: Values) -> str:
    """Replaces @NAME@ by values."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
