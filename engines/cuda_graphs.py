"""Calls recorded as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

WARM_UP = 3


def captured(call: Callable[[], Any], stream: Any = None) -> Callable[[], None]:
    """A function that replays what ``call`` launches, after runs in which it compiles and allocates.

    stream: that the graph is recorded on, None a new one. Other threads may use the GPU meanwhile.
    """
    stream = torch.cuda.Stream() if stream is None else stream  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        call()
    replay: Callable[[], None] = graph.replay
    return replay
