"""The two profiles: what visitors may do and how much, on a machine of one's own and in public, with every number."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much of a file is read."""

    bytes: int
    rows: int
    columns: int
    cell_characters: int
    seconds: float


@dataclass(frozen=True)
class RequestLimits:
    """How much one request for a text may ask of the model."""

    prompt_characters: int
    """Also of any other text that is read at once: tokenizing costs about a second a million."""
    new_tokens: int
    texts: int
    """That one call of the API may ask for."""


@dataclass(frozen=True)
class ServingLimits:
    """How long anything may take of an engine, and how much may wait for it."""

    waiting: int
    wait_seconds: float
    run_seconds: float
    step_seconds: float
    drain_seconds: float
    """That a load which needs the room of models in use waits for them."""


@dataclass(frozen=True)
class BenchmarkLimits:
    """How much may be asked of the model by tables, benchmarks and reports."""

    runs: int
    """Asked for at once."""
    examples: int
    """Of a task, in one run."""
    typed_texts: int
    """Classified from the box, one a line."""
    precision_rows: int
    precision_characters: int
    kept_bytes: int | None
    """That all runs together may take on the disk before no more are begun; None: as much as there is."""


@dataclass(frozen=True)
class Bucket:
    """A token bucket: so many at once, and so many a minute in the long run."""

    burst: int
    per_minute: float


@dataclass(frozen=True)
class TrafficLimits:
    """How much of the server one client, and all together, may take."""

    json_bytes: int
    """Of a body that is no upload."""
    body_seconds: float
    """In which a body must have come."""
    connections: int
    """Requests under way at a time, of all clients, open streams included."""
    client_connections: int
    """Of them, from one client: a page in a browser keeps two open."""
    joins: Bucket | None
    """Events of the page and calls of the API by one client; None: as many as come."""
    uploads: Bucket | None
    requests: Bucket | None
    """Of any kind by one client: a visit's scripts and styles are about a hundred, and a class shares one address."""


@dataclass(frozen=True)
class DiskLimits:
    """How much the temporary folder may hold: uploads, and files that were made to be taken away."""

    bytes: int
    seconds: float
    """After which a file there goes."""
    sweep_seconds: float
    """Between two looks."""


@dataclass(frozen=True)
class Profile:
    """What the workbench allows its visitors."""

    name: str
    others: bool
    """Whether visitors are strangers to each other and to the machine. They share its models and see its runs, so
    they name no models and folders, keep no files, train nothing, delete nothing and stop only what is theirs."""
    files: Limits
    requests: RequestLimits
    serving: ServingLimits
    benchmarks: BenchmarkLimits
    traffic: TrafficLimits
    disk: DiskLimits
    waiting_events: int
    """Of the page, in all its queues."""
    sessions: int
    """Of visitors, whose state is kept."""


LOCAL = Profile(
    name="local",
    others=False,
    files=Limits(bytes=200_000_000, rows=100_000, columns=256, cell_characters=1_000_000, seconds=60.0),
    requests=RequestLimits(prompt_characters=1_000_000, new_tokens=2**20, texts=64),
    serving=ServingLimits(
        waiting=256, wait_seconds=float("inf"), run_seconds=float("inf"), step_seconds=600.0, drain_seconds=30.0
    ),
    benchmarks=BenchmarkLimits(
        runs=500,
        examples=1_000_000,
        typed_texts=20_000,
        precision_rows=100_000,
        precision_characters=1_000_000,
        kept_bytes=None,
    ),
    traffic=TrafficLimits(
        json_bytes=64 * MIB,
        body_seconds=600.0,
        connections=1_000,
        client_connections=1_000,
        joins=None,
        uploads=None,
        requests=None,
    ),
    disk=DiskLimits(bytes=4 * 2**30, seconds=24 * 3600.0, sweep_seconds=30.0),
    waiting_events=256,
    sessions=500,
)
"""One's own machine: whoever calls is its owner, and other websites in the owner's browser are kept out."""

PUBLIC = Profile(
    name="public",
    others=True,
    files=Limits(bytes=2_000_000, rows=2_000, columns=32, cell_characters=8_000, seconds=2.0),
    requests=RequestLimits(prompt_characters=100_000, new_tokens=512, texts=8),
    serving=ServingLimits(waiting=16, wait_seconds=120.0, run_seconds=120.0, step_seconds=60.0, drain_seconds=30.0),
    benchmarks=BenchmarkLimits(
        runs=12,
        examples=100,
        typed_texts=2_000,
        precision_rows=100,
        precision_characters=20_000,
        kept_bytes=2**30,
    ),
    traffic=TrafficLimits(
        json_bytes=MIB,
        body_seconds=60.0,
        connections=200,
        client_connections=12,
        joins=Bucket(burst=120, per_minute=90),
        uploads=Bucket(burst=6, per_minute=6),
        requests=Bucket(burst=3_000, per_minute=1_800),
    ),
    disk=DiskLimits(bytes=500 * MIB, seconds=3600.0, sweep_seconds=30.0),
    waiting_events=64,
    sessions=500,
)
"""The open internet: the machine's models, runs and disk are shared by strangers."""

PROFILES = {profile.name: profile for profile in (LOCAL, PUBLIC)}
