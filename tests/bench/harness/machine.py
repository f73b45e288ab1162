"""The machine a run happens on."""

import os
import pathlib
import platform
import re
import resource
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Who runs where: the proxy alone on one processor, load and upstream on the others."""

    proxy: str
    others: str

    @staticmethod
    def split() -> "Cores":
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise SystemExit("at least two processors are needed: one for the proxy, one for load and upstream")
        return Cores(str(available[0]), ",".join(map(str, available[1:])))


def facts() -> str:
    """Processor, cores, memory, kernel."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = cpu.group(1).strip() if cpu else platform.machine()
    return f"{name}, {os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}"


def raise_descriptor_limit(wanted: int) -> int:
    """Raises this process's limit on descriptors, which children inherit, as far as allowed; gives what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, OSError):
            pass
    new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(new, soft), hard))
    return max(new, soft)


def load_of_others() -> float:
    """The machine's load over the last minute: how far figures can be trusted."""
    return os.getloadavg()[0]
