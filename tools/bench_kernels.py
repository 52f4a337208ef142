"""Every kernel by itself on this GPU:
``python -m tools.bench_kernels [--resolution 1024] [--batch 1,16] [--json FILE]``

Each layer is first compared with plain PyTorch in float16, both against float64 (a layer that is wrong is not timed),
then timed with CUDA events and a cold L2 cache: milliseconds, TFLOP/s, GB/s, and the share of this GPU's own measured
matrix rate and copy bandwidth. For every styled layer all plans are timed, and cuDNN with our epilogue. Results go to
docs/measurements, the roofline beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.gpu import identity, numbers, require_gpu, roofline
from tools.layer_arithmetic import Cost, channels, costs
from tools.record import ROOT, record


def compared(fast: Any, plain: Any, exact: Any, what: str) -> float:
    """The largest error of ``fast`` over that of ``plain``. Raises SystemExit for more than twice, plus rounding."""
    error, usual = (float((value.double() - exact).abs().max()) for value in (fast, plain))
    if not error <= 2 * usual + 2.0**-10 * float(exact.abs().max()):
        raise SystemExit(f"{what} is wrong: its error is {error:g}, that of plain PyTorch {usual:g}; nothing was timed")
    return error / max(usual, 1e-12)


def rated(cost: Cost, ms: float, rates: dict[str, float]) -> dict[str, Any]:
    """A row of the result."""
    tflops, gb_per_s = 2 * cost.macs / ms * 1e-9, cost.bytes / ms * 1e-6
    share = max(tflops / rates["tflops"], gb_per_s / rates["gb_per_s"])
    return {
        "name": cost.name, "ms": ms, "flops": 2 * cost.macs, "bytes": cost.bytes, "tflops": tflops,
        "gb_per_s": gb_per_s, "share_of_limit": share,
    }  # fmt: skip


def styled_layers(
    resolution: int, half: bool, batch: int, repeats: int, rates: dict[str, float]
) -> list[dict[str, Any]]:
    """Every styled layer under every plan."""
    import torch

    from engines.cuda_timing import median_ms
    from kernels.conv_plan import Plan, possible_plans
    from kernels.styled_conv2d import styled_conv2d
    from kernels.upfirdn2d import setup_filter

    table = {cost.name: cost for cost in costs(resolution, half, batch)}
    widths, rows = channels(resolution, half), []
    for size, wide in widths.items():
        for up in (2, 1) if size > 4 else (1,):
            inputs, edge = (widths[size // 2], size // 2) if up == 2 else (wide, size)
            draw = torch.Generator(device="cuda").manual_seed(size + up)
            x = torch.randn(batch, inputs, edge, edge, device="cuda", generator=draw)
            weight = torch.randn(wide, inputs, 3, 3, device="cuda", generator=draw)
            styles = torch.randn(batch, inputs, device="cuda", generator=draw)
            f = setup_filter([1, 3, 3, 1], device="cuda") if up == 2 else None
            options: dict[str, Any] = {"up": up, "resample_filter": f}
            plain = styled_conv2d(x.half(), weight.half(), styles.half(), impl="reference", **options)
            exact = styled_conv2d(x.double(), weight.double(), styles.double(), impl="reference", **options)
            cost = table[f"{size} up"] if up == 2 else table[f"{size} conv"]
            if up == 2:
                rest = table[f"{size} filter"]
                cost = Cost(cost.name, cost.macs + rest.macs, cost.bytes + rest.bytes)
            candidates = possible_plans(edge, edge, inputs, wide, batch, up, identity()["multiprocessors"])
            for candidate in [*(plan.label() for plan in candidates), "cudnn"]:
                run, y = prepared(x, weight, styles, up, f, candidate)
                run()
                worse = compared(y, plain, exact, f"{cost.name} {candidate}")
                row = rated(cost, median_ms(run, repeats), rates)
                rows.append({**row, "plan": candidate, "batch": batch, "error_over_plain": worse})
            assert Plan.parse(candidates[0].label()) == candidates[0]
    return rows


def prepared(x: Any, weight: Any, styles: Any, up: int, f: Any, candidate: str) -> tuple[Callable[[], None], Any]:
    """The launch of one layer and where its result will lie."""
    import torch

    from kernels.conv_plan import Plan
    from kernels.cudnn_layer import CudnnLayer
    from kernels.filter_act import Finish
    from kernels.program import channels_last, cuda_program, empty_channels_last
    from kernels.styled_conv2d import StyledLayer, pack_weight, styles_and_scale

    n, _, h, w = x.shape
    folded = candidate.endswith("folded")
    packed = pack_weight(weight, up, None, f if folded else None)
    style, scale = styles_and_scale(styles, packed)
    halves = channels_last(x.half())
    y = empty_channels_last(n, len(weight), h * up, w * up, halves, torch.float16)
    if candidate == "cudnn":
        layer: Any = CudnnLayer(cuda_program, packed, up, f)
    else:
        layer = StyledLayer(cuda_program, packed, Plan.parse(candidate), (n, h, w), up, f, like=halves)
    return lambda: layer.run(y, halves, style, scale, None, 0.0, None, Finish()), y


def colour_layers(
    resolution: int, half: bool, batch: int, repeats: int, rates: dict[str, float]
) -> list[dict[str, Any]]:
    """To-RGB at every size."""
    import torch

    from engines.cuda_timing import median_ms
    from kernels.program import channels_last, cuda_program, empty_channels_last
    from kernels.to_rgb import to_rgb, to_rgb_into
    from kernels.upfirdn2d import setup_filter

    table = {cost.name: cost for cost in costs(resolution, half, batch)}
    f, rows = setup_filter([1, 3, 3, 1], device="cuda"), []
    assert f is not None
    taps = (f * 4).flip([0, 1]).contiguous()
    for size, wide in channels(resolution, half).items():
        x = channels_last(torch.randn(batch, wide, size, size, device="cuda").half())
        weight, style = torch.randn(3, wide, device="cuda"), torch.rand(batch, wide, device="cuda").half()
        scale, bias = torch.ones(batch, device="cuda"), torch.zeros(3, device="cuda")
        skip = channels_last(torch.randn(batch, 3, size // 2, size // 2, device="cuda"))
        y = empty_channels_last(batch, 3, size, size, x, torch.float32)
        given = (x, weight, style, scale, bias)

        def run(given: Any = given, y: Any = y, skip: Any = skip) -> None:
            to_rgb_into(cuda_program, y, *given, skip, taps, None)

        run()
        plain = to_rgb(*given, skip=skip, f=f, impl="reference")
        exact = to_rgb(*(t.double() for t in given), skip=skip.double(), f=f, impl="reference")  # type: ignore[arg-type]
        worse = compared(y, plain, exact, f"{size} to-RGB")
        rows.append(
            {
                **rated(table[f"{size} to-RGB"], median_ms(run, repeats), rates),
                "batch": batch,
                "error_over_plain": worse,
            }
        )
    return rows


def parser() -> argparse.ArgumentParser:
    """The command line."""
    a = argparse.ArgumentParser(
        prog="bench_kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    a.add_argument("--resolution", type=int, default=1024, choices=(64, 128, 256, 512, 1024))
    a.add_argument("--half", action="store_true", help="half of the channels")
    a.add_argument("--batch", type=numbers, default=[1, 16], help="batch sizes, as 1,16")
    a.add_argument("--repeats", type=int, default=100)
    a.add_argument("--json", type=Path, help="where the results go; docs/measurements without it")
    return a


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    a = parser()
    o = a.parse_args(arguments)
    require_gpu(a)
    from engines.cuda_timing import measured_rates

    rates, rows = measured_rates(), []
    for batch in o.batch:
        rows += styled_layers(o.resolution, o.half, batch, o.repeats, rates)
        rows += colour_layers(o.resolution, o.half, batch, o.repeats, rates)
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        key = (row["name"], row["batch"])
        if key not in best or row["ms"] < best[key]["ms"]:
            best[key] = row
    for row in best.values():
        plan, share = row.get("plan", ""), 100 * row["share_of_limit"]
        who = f"{row['name']:14s} n{row['batch']:<3d} {plan:24s}"
        print(f"{who} {row['ms']:8.4f} ms {row['tflops']:7.1f} TFLOP/s {share:5.1f} %")
    gpu = identity()
    file = record("gpu-kernels", o.json, gpu=gpu, rates=rates, kernels=rows)
    roofline(list(best.values()), rates, gpu["gpu"], file.with_suffix(".png"))
    print(f"written to {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")


if __name__ == "__main__":
    main()
