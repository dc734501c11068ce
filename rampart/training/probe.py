"""How many texts fit into memory at once: found by trying, in processes that may die of it.

    python -m rampart.training.probe SETTINGS-AS-JSON TEXTS

makes one step on texts as long as the window, and prints what it took.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rampart.errors import TrainingError
from rampart.training.encoder import EncoderTraining
from rampart.training.memory import divisors

_CGROUPS = Path("/sys/fs/cgroup")
# Of what is free: training allocates besides what one step does.
_SHARE = 0.8
_SECONDS = 600
# As torch, oneDNN and C++ say that they were given none.
_REFUSED = ("memory", "MemoryError", "could not create a primitive", "bad_alloc")


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes:
        micro_batch: the most texts at once that fit.
        tried: bytes that each number of texts took; None where it did not fit.
        limit: bytes that there were.
    """

    micro_batch: int
    tried: dict[int, int | None]
    limit: int


def free_memory(cgroups: Path = _CGROUPS) -> int:
    """Bytes that this process may still take: by its control group, v2 or v1, and the machine."""
    import psutil

    found = [int(psutil.virtual_memory().available)]
    for limit, usage, kinds, files in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            most, now = (int((cgroups / name).read_text("ascii")) for name in (limit, usage))
            found.append(max(0, most - now + _counted(cgroups / kinds, files)))
    return min(found)


def _counted(path: Path, name: str) -> int:
    """Bytes of a kind of memory in a control group; those of files are given up when asked."""
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    pairs = (line.split() for line in lines)
    return next((int(count) for kind, count in pairs if kind == name), 0)


def _limit() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0] * _SHARE)
    return int(free_memory() * _SHARE)


def largest_micro_batch(
    settings: EncoderTraining,
    share: int,
    *,
    limit: int | None = None,
    tell: Callable[[int, int | None], None] = lambda _, __: None,
) -> Fit:
    """The most texts at once, of those that divide a process's share of a step.

    Args:
        settings: of the training; its micro-batch does not count.
        share: texts of a step that a process has.
        limit: bytes; four fifths of what is free if None, on a GPU of what is free there.
        tell: is told each try: texts, and bytes or None.

    Raises:
        TrainingError: not even one text fits.
    """
    most = limit if limit is not None else _limit()
    choices = divisors(share)
    tried: dict[int, int | None] = {}
    low, high = 0, len(choices)  # choices[:low] fit, choices[high:] do not
    while low < high:
        middle = (low + high) // 2
        texts = choices[middle]
        tried[texts] = _tried(settings, texts, most)
        tell(texts, tried[texts])
        if tried[texts] is None:
            high = middle
        else:
            low = middle + 1
    if not low:
        raise TrainingError(
            f"Not even one text of {settings.window.tokens} tokens can be trained on in "
            f"{most / 1e6:.0f} MB.",
            "Train fewer layers, read fewer tokens, or turn checkpointing on.",
        )
    return Fit(choices[low - 1], tried, most)


def _tried(settings: EncoderTraining, texts: int, limit: int) -> int | None:
    command = [sys.executable, "-m", "rampart.training.probe", settings.model_dump_json()]
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            [*command, str(texts), str(limit)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None  # so many that nobody would wait for them
    if done.returncode == 0:
        taken = int(json.loads(done.stdout)["bytes"])
        return taken if taken <= limit else None
    said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    if done.returncode < 0 or any(words in said for words in _REFUSED):
        return None  # killed for it, or refused it
    raise TrainingError(
        f"A step of {texts} texts failed: {said}.",
        "Correct the settings.",
    )


def step(settings: EncoderTraining, texts: int, limit: int | None = None) -> int:
    """Make a step on texts as long as the window; returns the bytes that it added at its peak.

    Beyond the limit memory is refused, so that nothing else on the machine has to make room.
    """
    import torch

    from rampart.training.network import EncoderNetwork

    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    network = EncoderNetwork.from_base(settings.base, trained_layers=settings.trained_layers)
    network.checkpointing = settings.memory.checkpointing
    network.to(device).train()
    before = torch.cuda.memory_allocated() if gpu else _peak()
    if limit is not None and not gpu and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + limit, -1))
    # Adam's numbers, whichever optimizer keeps fewer.
    trained = [one for one in network.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    tokens = settings.window.tokens
    hidden = torch.randn(texts, tokens, network.bert.config.hidden_size, device=device)
    mask = torch.ones(texts, tokens, device=device)
    labels = torch.zeros(texts, device=device)
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(settings.memory.computed())
    for _ in range(2):  # the second has the optimizer's numbers from the beginning
        with torch.autocast(device, dtype=kind, enabled=kind is not None):
            loss = network(hidden, mask, labels)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return int(torch.cuda.max_memory_allocated() if gpu else _peak()) - before


def _peak() -> int:
    """Bytes of this process that were resident at the most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """One try."""
    given, texts, limit = sys.argv[1:]
    with suppress(OSError):
        # Where memory does run out, this process goes and not the one that asked.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    settings = EncoderTraining.model_validate_json(given)
    import torch

    torch.set_num_threads(1)
    sys.stdout.write(json.dumps({"bytes": step(settings, int(texts), int(limit))}))


def _data_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    [found] = [line.split()[1] for line in lines if line.startswith("VmData:")]
    return int(found) * 1024


if __name__ == "__main__":
    main()
