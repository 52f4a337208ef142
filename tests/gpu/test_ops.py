"""Every kernel on a GPU against a float64 reference: at most twice the error of plain PyTorch in float16."""

from __future__ import annotations

import pytest
import torch

from kernels.align_crop import align_crop
from kernels.bias_act import ACTIVATIONS, bias_act
from kernels.conv_plan import TILES, Plan
from kernels.edit_codes import EditRoom, edit_codes
from kernels.filter_act import filter_act
from kernels.overlay_heads import COLOURS, overlay_heads
from kernels.overlay_heads import Place as HeadPlace
from kernels.painted_rgb import Second, painted_rgb
from kernels.paste_face import Place, level_pixels, paste_face, write_levels
from kernels.style_preparation import StyleLayer, prepare_styles, style_table
from kernels.styled_conv2d import pack_weight, styled_conv2d
from kernels.to_rgb import to_rgb
from kernels.upfirdn2d import setup_filter, upfirdn2d, upsample2d
from kernels.yuv import bgr_to_yuv, yuv_to_bgr
from tests.compare import check_close

pytestmark = pytest.mark.gpu

# "small" in a test's name: compute-sanitizer runs it too
UGLY = [(1, 1, 3, 4, 4), (3, 3, 37, 5, 7), (3, 37, 1, 9, 3), (1, 512, 37, 7, 9)]
REAL = [
    (1, 512, 512, 4, 4),
    (1, 512, 512, 32, 32),
    (4, 512, 512, 64, 64),
    (1, 128, 64, 256, 256),
    (1, 32, 32, 1024, 1024),
]


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).half().float().cuda()


def _styled(n: int, inputs: int, outputs: int, h: int, w: int, up: int, plan: Plan | None) -> None:
    x, weight, styles = _draw(n, h, w, inputs).permute(0, 3, 1, 2), _draw(outputs, inputs, 3, 3), _draw(n, inputs)
    options = {"bias": _draw(outputs), "noise": _draw(n, 1, h * up, w * up)}
    f = setup_filter([1, 3, 3, 1], device="cuda")

    def run(dtype: torch.dtype, impl: str) -> torch.Tensor:
        given = {k: v.to(dtype) for k, v in options.items()}
        tensors = (x.to(dtype), weight.to(dtype), styles.to(dtype))
        return styled_conv2d(*tensors, **given, up=up, resample_filter=f, clamp=256.0, plan=plan, impl=impl)

    exact = run(torch.float64, "reference")
    check_close(run(torch.float16, "cuda"), run(torch.float16, "reference"), exact, f"{inputs} to {outputs}, up {up}")


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("shape", [*UGLY, *REAL], ids=lambda shape: f"{'small' if shape in UGLY else 'real'} {shape}")
def test_styled_layers(shape, up):
    if up == 2 and shape[3] == 1024:
        pytest.skip("no layer doubles 1024 px")
    _styled(*shape, up, None)


@pytest.mark.parametrize(
    "plan", [*(Plan(tile) for tile in TILES), Plan("conv_64x64", 5), Plan("conv_128x128", 2)], ids=Plan.label
)
def test_every_plan(plan):
    _styled(2, 96, 136, 19, 33, 1, plan)
    _styled(2, 96, 136, 9, 17, 2, plan)


def test_folded_filters():
    _styled(2, 96, 136, 9, 17, 2, Plan("conv_64x64", 2, True))


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_bias_act(act, dtype):
    x, b = _draw(3, 37, 5, 7), _draw(37)
    exact = bias_act(x.double(), b.double(), act=act, clamp=2.0, impl="reference")
    fast, plain = (bias_act(x.to(dtype), b.to(dtype), act=act, clamp=2.0, impl=i) for i in ("cuda", "reference"))
    check_close(fast, plain, exact, act, floor=2.0**-10 if dtype == torch.float16 else 1e-6)


@pytest.mark.parametrize(
    "options", [{"up": 2, "padding": (2, 1)}, {"down": 2, "padding": 1}, {"padding": (-1, 2, 3, -2)}], ids=str
)
def test_upfirdn2d(options):
    x, f = _draw(3, 37, 15, 11), setup_filter([1, 2, 4, 3], device="cuda")
    exact = upfirdn2d(x.double(), f, impl="reference", **options)
    fast, plain = (upfirdn2d(x.half(), f, impl=i, **options) for i in ("cuda", "reference"))
    check_close(fast, plain, exact, str(options))


def test_filter_act():
    t, f, b = _draw(3, 37, 10, 8), setup_filter([1, 2, 4, 3], device="cuda"), _draw(37)
    exact = filter_act(t.double(), f, bias=b.double(), impl="reference")
    check_close(filter_act(t.half(), f, bias=b, impl="cuda"), filter_act(t.half(), f, bias=b), exact, "filter_act")


@pytest.mark.parametrize(
    ("n", "inputs", "size"), [(3, 37, 10), (1, 512, 32), (1, 32, 1024)], ids=["small", "wide", "large"]
)
def test_to_rgb(n, inputs, size):
    x, weight, skip = _draw(n, inputs, size, size), _draw(3, inputs), _draw(n, 3, size // 2, size // 2)
    given = (weight, _draw(n, inputs).clamp(-1, 1), torch.ones(n).cuda(), _draw(3))
    f = setup_filter([1, 3, 3, 1], device="cuda")
    exact = to_rgb(x.double(), *(t.double() for t in given), skip=skip.double(), f=f, impl="reference")
    fast, plain = (to_rgb(x.half(), *given, skip=skip, f=f, impl=i) for i in ("cuda", "reference"))
    check_close(fast, plain, exact, f"{inputs} inputs", floor=1e-5)
    assert upsample2d(skip, f).shape == fast.shape


def test_styles():
    packed = [pack_weight(_draw(o, i, 3, 3)) for o, i in ((512, 37), (3, 512))]
    layers = [
        StyleLayer(_draw(p.energy.shape[1], 512), _draw(p.energy.shape[1]), k, p.energy, p.peak)
        for k, p in enumerate(packed)
    ]
    table = style_table([*layers, StyleLayer(_draw(40, 512), _draw(40), 1)])
    wplus = _draw(3, 2, 512)
    both = [prepare_styles(wplus, table, impl=impl) for impl in ("cuda", "reference")]
    for got, wanted in zip(*both, strict=True):
        for one, two in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-4)


def test_edits_of_codes_small():
    room = EditRoom(6, 5, 300, torch.device("cuda"))
    for tensor in (room.numbers, room.probe, room.step):
        tensor.copy_(_draw(*tensor.shape) / 3)
    room.numbers[:, 1] = torch.tensor([0.0, 1, 0, 1, 1, 0])
    room.count.fill_(5)
    codes, strengths = _draw(3, 5, 300), _draw(3, 6)
    exact = edit_codes(codes.double(), strengths.double(), room, impl="reference")
    torch.testing.assert_close(edit_codes(codes, strengths, room, impl="cuda").double(), exact, rtol=1e-4, atol=1e-4)


def test_picture_ends():
    draw = torch.Generator().manual_seed(0)
    frame = torch.randint(0, 256, (720, 1280, 3), dtype=torch.uint8, generator=draw).cuda()
    back = torch.tensor([[1.9, -0.4, 98.0], [0.4, 1.9, -37.0]]).cuda()
    for grid in (0, 3):
        crops = [align_crop(frame, back, 256, grid=grid, impl=i) for i in ("cuda", "reference")]
        torch.testing.assert_close(crops[0], crops[1], rtol=0, atol=1e-3)
    for layout in ("nv12", "i420"):
        yuv = [bgr_to_yuv(frame, layout, impl=i) for i in ("cuda", "reference")]
        assert (yuv[0].int() - yuv[1].int()).abs().max() <= 1
        bgr = [yuv_to_bgr(yuv[1], layout, impl=i).int() for i in ("cuda", "reference")]
        assert (bgr[0] - bgr[1]).abs().max() <= 1


@pytest.mark.parametrize("level", [0, 2])
def test_a_pasted_face(level):
    draw = torch.Generator().manual_seed(1)
    frame = torch.randint(0, 256, (720, 1280, 3), dtype=torch.uint8, generator=draw)
    levels = torch.zeros(level_pixels(512), 4)
    write_levels(levels, torch.rand(3, 512, 512, generator=draw) * 1.6 - 0.8)
    angles = torch.arange(36) * (2 * torch.pi / 36)
    outline = torch.stack([600 + 150 * angles.cos(), 360 + 200 * angles.sin()], dim=1)
    step = (512 >> level) / 500
    place = Place((step, 0.02, -340 * step, -0.02, step, -100 * step), (420, 130, 360, 460), 25.0, 36, level, 512, 0.3)
    given = [levels, torch.tensor(place.numbers()), outline, torch.tensor([[1.1, 1.0, 0.9], [3.0, 0.0, -3.0]])]
    exact = paste_face(frame, *(t.double() for t in given), impl="reference")
    fast = [t.cpu() for t in paste_face(frame.cuda(), *(t.cuda() for t in given), impl="cuda")]
    torch.testing.assert_close(fast[1].double(), exact[1], rtol=1e-3, atol=1e-2)
    assert (fast[0].int() - exact[0].int()).abs().max() <= 1


HEADS = {  # of a picture 1280 x 720, and of one that leaves edges
    "large": ((720, 1280), 512, [
        HeadPlace((0.9, 0.02, -300.0, -0.02, 0.9, -60.0), 0, True, 1.0, (300, 40, 620, 640), (155, 160), (32, 32)),
        HeadPlace((0.8, 0, -700.0, 0, 0.8, -20.0), 1, False, 0.6, (860, 0, 420, 500), (105, 125), (32, 32)),
        HeadPlace((3.1, 0, 40.0, 0, 3.1, 20.0), 0, True, 1.0, (0, 0, 90, 120), (22, 30), (31, 32)),
        HeadPlace((0.2, 0, 20.0, 0, 0.2, 20.0), 0, True, 0.3),
    ]),
    "small": ((31, 53), 16, [
        HeadPlace((0.4, 0.05, -3.3, -0.05, 0.4, -1.7), 0, True, 1.0, (5, 3, 37, 28), (9, 7), (32, 28)),
        HeadPlace((0.9, 0.1, -18.0, -0.1, 0.9, -9.0), 2, True, 0.7, (50, 29, 3, 2), (1, 1), (3, 2)),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_heads_covered_and_drawn(name):
    size, edge, places = HEADS[name]
    draw = torch.Generator().manual_seed(4)
    canvas = torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=draw)
    portraits = torch.rand(len(places), edge, edge, 4, generator=draw) * 1.2 - 0.1
    fade = torch.linspace(1, 0.1, edge * edge).reshape(edge, edge)
    rows = torch.tensor([place.numbers() for place in places])
    room = COLOURS + max(place.mask[0] * place.mask[1] for place in places)
    covers = torch.randint(0, 256, (len(places), room), dtype=torch.uint8, generator=draw)
    exact = overlay_heads(canvas, portraits.double(), fade.double(), rows.double(), covers, impl="reference")
    given = [t.cuda() for t in (portraits, fade, rows)]
    fast = overlay_heads(canvas.cuda(), *given, covers.cuda(), impl="cuda").cpu()
    assert (fast.int() - exact.int()).abs().max() <= 1 and (fast == exact).float().mean() > 0.98
    covers[:, COLOURS:] = 255  # all of the boxes: nothing of the canvas is left in them
    both = [overlay_heads(c.cuda(), *given, covers.cuda(), impl="cuda").cpu() for c in (canvas, 255 - canvas)]
    for left, top, wide, high in (place.box for place in places):
        part = [one[top : top + high, left : left + wide] for one in both]
        assert torch.equal(*part)


@pytest.mark.parametrize(("n", "inputs", "second", "size", "covers"), [(1, 48, 72, 128, 2), (3, 37, 3, 9, 1)])
def test_painted_rgb(n, inputs, second, size, covers):
    ways = 16 + 4 * covers
    x, m, bias = _draw(n, inputs, size, size), _draw(n, inputs, ways) / 4, _draw(ways)
    over = Second(_draw(n, second, size, size), _draw(n, second, ways) / 4, _draw(16))
    more = {"second": over, "covers": _draw(n, covers, 4), "skip": _draw(n, 4, size, size)}
    exact = painted_rgb(*(t.double() for t in (x, m, bias)), impl="reference", **more)
    fast, plain = (painted_rgb(x.half(), m, bias, impl=i, **more) for i in ("cuda", "reference"))
    check_close(fast, plain, exact, f"{inputs} and {second} features, {covers} covers")


@pytest.mark.parametrize(("up", "trim"), [(1, False), (2, False), (2, True)])
def test_an_addend_and_a_trimmed_edge(up, trim):
    x, weight, styles, bias = _draw(2, 128, 33, 19), _draw(80, 128, 3, 3), _draw(2, 128), _draw(80)
    addend = _draw(2, 80, 33 * up, 19 * up)
    f = setup_filter([1, 2, 1, 0], device="cuda") if up == 2 else None

    def run(dtype: torch.dtype, impl: str) -> torch.Tensor:
        given = {"addend": addend.to(dtype), "bias": bias.to(dtype)}
        tensors = (x.to(dtype), weight.to(dtype), styles.to(dtype))
        return styled_conv2d(*tensors, **given, up=up, resample_filter=f, trim=trim, impl=impl)

    check_close(
        run(torch.float16, "cuda"), run(torch.float16, "reference"), run(torch.float64, "reference"), f"up {up}"
    )
