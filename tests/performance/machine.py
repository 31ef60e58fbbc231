"""The machine that measures: what it is, how much of it others took."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.kernels.compiled import kernels

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
PACKAGES = ("torch", "bitsandbytes", "tokenizers", "numpy")


def machine_facts(threads: int) -> dict[str, Any]:
    """CPU, memory and versions."""
    cpu = _field("/proc/cpuinfo", "model name")
    have = set(_field("/proc/cpuinfo", "flags").split())
    facts: dict[str, Any] = {
        "cpu": cpu or platform.processor(),
        "flags": [flag for flag in FLAGS if flag in have],
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernels": kernels().instructions,
        "python": platform.python_version(),
    }
    return facts | {package: importlib.metadata.version(package) for package in PACKAGES}


@dataclass(frozen=True)
class Cores:
    """Core seconds since the machine started."""

    busy: float
    """Of all its programs."""
    stolen: float
    """That the host gave to somebody else."""


def cores() -> Cores:
    """As the kernel counts them now."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _waiting, irq, softirq, stolen = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in fields[:8]
    )
    return Cores(user + nice + system + irq + softirq, stolen)


def core_seconds(process: int) -> float:
    """Core seconds that a process took so far, all its threads together."""
    after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
