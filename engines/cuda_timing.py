"""Times on a GPU: CUDA events around calls, the L2 cache emptied before each, medians.

ms = median_ms(lambda: engine.run(), repeats=200)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

WARM_UP = 3


def median_ms(call: Callable[[], object], repeats: int = 50, *, cold: bool = True) -> float:
    """The median time of a call in milliseconds.

    cold: whether the L2 cache is overwritten before each call, so that nothing is found there by luck.
    """
    scratch = torch.empty(_l2_bytes() * 2 if cold else 0, dtype=torch.int8, device="cuda")
    for _ in range(WARM_UP):
        call()
    events: list[tuple[Any, Any]] = [(_event(), _event()) for _ in range(repeats)]
    for start, end in events:
        scratch.zero_()
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return float(statistics.median(start.elapsed_time(end) for start, end in events))


def measured_rates() -> dict[str, float]:
    """This GPU's own matrix rate (float16 in, float32 summed, 8192 x 8192) in TFLOP/s and copy bandwidth in GB/s."""
    edge, count = 8192, 1 << 30
    matrix = torch.randn(edge, edge, device="cuda", dtype=torch.float16)
    matrix_ms = median_ms(lambda: torch.matmul(matrix, matrix), 20, cold=False)
    source, target = (torch.empty(count, dtype=torch.int8, device="cuda") for _ in range(2))
    copy_ms = median_ms(lambda: target.copy_(source), 20, cold=False)
    return {"tflops": 2 * edge**3 / matrix_ms * 1e-9, "gb_per_s": 2 * count / copy_ms * 1e-6}


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _l2_bytes() -> int:
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return int(getattr(properties, "L2_cache_size", 0) or 64 * 1024**2)
