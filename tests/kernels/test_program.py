from __future__ import annotations

import pytest
import torch

from kernels.bias_act import bias_act
from kernels.cache import digest
from kernels.implementations import ImplementationUnavailable
from kernels.program import SOURCES, cuda_refusal, cupy_refusal, source, version_refusal


def test_a_source_is_one_text_so_that_caches_see_the_header_too():
    text = source("bias_act")
    assert '#include "common.h"' not in text
    assert (SOURCES / "common.h").read_text() in text
    assert digest(text) != digest(text + " ")


def test_a_driver_older_than_the_toolkit_is_named_with_what_to_do():
    assert version_refusal(13010, 13000) is None
    wanted = "CuPy was built for CUDA 13.0 and the driver knows CUDA 12.4; update the driver or install cupy-cuda12x"
    assert version_refusal(12040, 13000) == wanted
    assert version_refusal(0, 13000) == "there is no NVIDIA driver; install one"


def test_tensors_elsewhere_are_named():
    assert cuda_refusal(torch.zeros(1), None) == "a tensor is on cpu; wanted all on an NVIDIA GPU"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_cupy_gives_a_reason_and_auto_takes_the_reference():
    assert "CuPy" in str(cupy_refusal())
    torch.testing.assert_close(bias_act(torch.ones(1, 3), act="relu"), torch.full((1, 3), 2**0.5))
    with pytest.raises(ImplementationUnavailable, match="wanted all on an NVIDIA GPU; use impl='reference'"):
        bias_act(torch.ones(1, 3), impl="cuda")
