"""Random damage and random programs: whatever comes in, the reader answers with values or with a CheckpointError.

Hypothesis tries 5,000 inputs in all (the sum of EXAMPLES), the same ones on every run.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.checkpoints.admitted import PLAIN
from engines.checkpoints.containers import read_content
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.identification import convert
from engines.checkpoints.tensors import Tensor
from engines.checkpoints.values import children

EXAMPLES = {"damage": 2300, "program": 1700, "splice": 1000}
BYTES_PER_FILE_BYTE, CONSTANT_BYTES = 300, 2_000_000


def options(group: str) -> settings:
    """Fixed seed, no time limit per input, nothing stored on disk."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=EXAMPLES[group], derandomize=True, deadline=None, database=None, suppress_health_check=checks
    )


def torch_file(value: object, zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def samples() -> list[bytes]:
    """Small sound files of every container."""
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.ones(3, dtype=torch.bfloat16), "n": torch.tensor(1)}
    value = {"g_ema": tensors, "latent_avg": torch.zeros(4), "opts": {"size": 4, "names": ["x", None]}}
    arrays = {"w": np.arange(12.0).reshape(3, 4), "k": np.float32(2), "s": {1, 2}}
    return [
        torch_file(value, zipped=True),
        torch_file(value, zipped=False),
        *(pickle.dumps(arrays, protocol) for protocol in (2, 3, 4, 5)),
    ]


SAMPLES = samples()
INSTRUCTIONS = [o.code.encode("latin1") for o in pickletools.opcodes]
ARGUMENTS = [
    b"",
    b"\x00",
    b"\x01",
    b"\x05abcde",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    struct.pack("<I", 3) + b"abc",
    struct.pack("<Q", 2**40),
    b"1\n",
    b"'a'\n",
    *(f"{name.rpartition('.')[0]}\n{name.rpartition('.')[2]}\n".encode() for name in PLAIN),
    b"os\nsystem\n",
    SAMPLES[1][:40],
]


def read_everything(content: bytes) -> None:
    """Read, convert and touch every tensor; only CheckpointError may come out, and memory stays bounded."""
    tracemalloc.start()
    try:
        root, _ = read_content(content)
        left, seen = [root], set()
        while left:
            value = left.pop()
            if id(value) not in seen:
                seen.add(id(value))
                left.extend(children(value))
                if isinstance(value, Tensor):
                    assert value.array().shape == value.shape
        convert(root)
    except CheckpointError as error:
        assert 0 < len(str(error)) < 1000
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < BYTES_PER_FILE_BYTE * len(content) + CONSTANT_BYTES


def test_the_samples_are_sound():
    for content in SAMPLES:
        with pytest.raises(CheckpointError, match="not a network that is known here"):
            convert(read_content(content)[0])


@options("damage")
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255), st.booleans()), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_damaged_files(content, changes, cut):
    damaged = bytearray(content)
    for place, byte, insert in changes:
        at = int(place * len(damaged))
        damaged[at : at if insert else at + 1] = bytes([byte])
    if cut < 0.2:
        del damaged[int(cut * 5 * len(damaged)) :]
    read_everything(bytes(damaged))


@options("program")
@given(st.lists(st.tuples(st.sampled_from(INSTRUCTIONS), st.sampled_from(ARGUMENTS)), min_size=1, max_size=60))
def test_random_programs(steps):
    read_everything(b"\x80\x04" + b"".join(name + argument for name, argument in steps) + b".")


@options("splice")
@given(
    st.sampled_from(SAMPLES[1:]),
    st.sampled_from(SAMPLES[1:]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.sampled_from(INSTRUCTIONS), max_size=5),
)
def test_spliced_files(first, second, end, start, between):
    read_everything(first[: int(end * len(first))] + b"".join(between) + second[int(start * len(second)) :])
