"""What every peer's adapter offers: see ../peers."""

import os
import pathlib
import re
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass

from harness.model import Scenario
from harness.places import Values
from harness.processes import Process


class Unavailable(Exception):
    """The peer is not installed, and could not be."""


class NotOffered(Exception):
    """The peer, or its adapter, cannot do what a scenario asks for. The text says what is missing."""


@dataclass(frozen=True)
class Stand:
    """Where a peer is set up for one scenario: everything of it happens in `directory`."""

    scenario: Scenario
    directory: pathlib.Path
    port: int
    cores: str
    # What its configuration is filled in with: ports, files, tokens.
    values: Values

    @property
    def key(self) -> str:
        """The scenario's name in file names."""
        return self.scenario.name.lower()


class Peer(ABC):
    """A proxy that can be measured. `name` is what the command line calls it."""

    name: str
    title: str

    @abstractmethod
    def version(self) -> str:
        """Its version. Raises Unavailable when it is not installed and cannot be."""

    @abstractmethod
    def start(self, stand: Stand) -> Process:
        """Starts it with one worker thread and waits until it listens. Raises NotOffered, StartFailure."""


def output_of(*command: str | os.PathLike[str]) -> str:
    """What a command prints, or Unavailable."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"`{command[0]}` cannot be run: {error}") from error
    return result.stdout + result.stderr


def version_in(text: str) -> str:
    """The first thing that looks like a version."""
    found = re.search(r"\d+\.\d+(\.\d+)?([-+~][\w.+~-]+)?", text)
    return found.group(0) if found else "unknown version"


def snippet(peer_folder: pathlib.Path, stand: Stand, ending: str) -> str:
    """A peer's part for a scenario: a file of its folder. A peer offers the scenarios it has a file for."""
    path = peer_folder / f"{stand.key}{ending}"
    if not path.exists():
        raise NotOffered(f"{peer_folder.name} has no {path.name}")
    return path.read_text()
