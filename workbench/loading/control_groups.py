"""What the control groups (versions 1 and 2) of a container leave of the machine: memory and cores.

A container sees the host's memory in /proc/meminfo and all of its cores; what it may use stands only here. Every limit
of this process's own group and of each group around it holds.
"""

from collections.abc import Iterator
from math import ceil
from pathlib import Path

OWN, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
UNLIMITED_BYTES = 2**60
"""Version 1 writes a number beyond any machine where there is no limit."""


def free_bytes_of_groups(own: Path = OWN, mount: Path = MOUNT) -> list[int]:
    """What is free under each memory limit.

    Page cache that the kernel takes back when memory is short (inactive_file) is not counted as used.
    """
    free = []
    for group, is_second in _groups("memory", own, mount):
        if is_second:
            free += _free_under(group, "memory.max", "memory.current", "inactive_file")
        else:
            free += _free_under(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return free


def cores_of_groups(own: Path = OWN, mount: Path = MOUNT) -> list[int]:
    """How many cores each CPU quota comes to, a part of one counted as one."""
    cores = []
    for group, is_second in _groups("cpu", own, mount):
        if is_second:
            told = _read(group / "cpu.max").split()
        else:
            told = [_read(group / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
        # Without a limit the quota is "max", or -1.
        if len(told) == 2 and all(number.isdigit() for number in told) and int(told[1]):
            cores.append(max(1, ceil(int(told[0]) / int(told[1]))))
    return cores


def _groups(controller: str, own: Path, mount: Path) -> Iterator[tuple[Path, bool]]:
    """The folders of the groups that hold a controller, from the inside out, and whether they are of version 2."""
    for line in _read(own).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_second = number == "0" and not controllers
        if is_second:
            roots = (mount, mount / "unified")
        elif controller in controllers.split(","):
            roots = (mount / controller, mount / controllers)
        else:
            continue
        parts = Path(path.lstrip("/")).parts
        for root in dict.fromkeys(roots):
            for depth in range(len(parts), -1, -1):
                yield root.joinpath(*parts[:depth]), is_second


def _free_under(group: Path, limit_name: str, usage_name: str, cache_name: str) -> list[int]:
    limit, usage = _read(group / limit_name).strip(), _read(group / usage_name).strip()
    if not limit.isdigit() or not usage.isdigit() or int(limit) >= UNLIMITED_BYTES:
        return []
    counts = dict(line.split(maxsplit=1) for line in _read(group / "memory.stat").splitlines() if " " in line)
    used = max(0, int(usage) - int(counts.get(cache_name, 0)))
    return [max(0, int(limit) - used)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
