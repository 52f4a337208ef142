"""What surrounds TensorRT: refusals, and how a better engine takes over. The engine itself runs in tests/gpu."""

from __future__ import annotations

import threading

import pytest
import torch

from engines.engine_cache import EngineCache
from engines.errors import EngineError
from engines.tensorrt_engine import Upgrading, difference, engine_from_onnx, tensorrt_refusal

X = torch.linspace(-1, 1, 32)


def first(x):
    return (x * 2,)


def upgraded(build, recorded=((X,),)):
    said = []
    model = Upgrading(first, build, recorded, said.append)
    model.wait()
    return model, said


def test_an_engine_that_draws_the_same_takes_over():
    model, said = upgraded(lambda: lambda x: (x * 2.001,))
    assert model.upgraded
    torch.testing.assert_close(model(X)[0], X * 2.001)
    assert said == ["the faster engine has taken over; it differs by 0.0005"]


@pytest.mark.parametrize("value", [2.5, float("nan")])
def test_one_that_draws_something_else_does_not(value):
    model, said = upgraded(lambda: lambda x: (x * value,))
    assert not model.upgraded
    torch.testing.assert_close(model(X)[0], X * 2)
    assert "the faster engine is not used: it differs by" in said[0]


def test_a_build_that_fails_leaves_the_first_running():
    def build():
        raise EngineError("TensorRT could not build the model")

    model, said = upgraded(build)
    assert not model.upgraded
    assert said == ["the faster engine is not used: EngineError: TensorRT could not build the model"]


def test_the_first_runs_while_the_other_is_built():
    go = threading.Event()

    def build():
        go.wait(10)
        return lambda x: (x * 2,)

    model = Upgrading(first, build, [(X,)], lambda text: None)
    assert not model.upgraded
    torch.testing.assert_close(model(X)[0], X * 2)
    go.set()
    model.wait(10)
    assert model.upgraded


def test_differences_are_relative_and_the_worst_counts():
    one, two = torch.ones(4), torch.full((4,), 100.0)
    assert difference([one, two], [one, two * 1.01]) == pytest.approx(0.01, rel=1e-4)
    assert difference([one], [one * 0]) == pytest.approx(1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_tensorrt_or_a_gpu_the_reason_is_raised(tmp_path):
    reason = tensorrt_refusal()
    assert reason is not None
    with pytest.raises(EngineError, match=reason.split("(")[0].strip()):
        engine_from_onnx(b"", EngineCache(tmp_path), say=print)
