"""Video files as they come in real life: each is read soundly, or refused in one clear line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from realtime.capture import Source, open_source
from realtime.clock import FakeClock
from realtime.errors import SourceError
from realtime.frames import Frame
from realtime.settings import CaptureSettings
from tests.realtime.clips import as_nobody, corners, grey, quadrants, write_clip, write_sound

NEAR = 25  # lossy colour, on 0 to 255


def opened(path: Path, **settings: object) -> Source:
    return open_source(str(path), CaptureSettings(**settings), FakeClock())


def frames(source: Source) -> list[Frame]:
    found: list[Frame] = []
    while isinstance(frame := source.read(), Frame):
        found.append(frame)
    assert source.read() is None
    source.close()
    return found


def assert_upright(pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    assert np.abs(corners(pixels) - corners(quadrants(width, height))).max() <= NEAR


def refused(path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=text) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "none.mp4", "does not exist; wanted a video file")


def test_folder(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder; wanted a video file")


def test_unreadable(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [grey(16, 16, 0)])
    path.chmod(0)
    with as_nobody():
        refused(path, "permission denied")


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    refused(path, "is empty; wanted a video file")


@pytest.mark.parametrize("content", [b"just some text\n" * 50, b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n", bytes(5000)])
def test_no_video_inside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    refused(path, "is not a readable video|has no video track|has no picture that can be decoded")


def test_only_sound(tmp_path: Path) -> None:
    refused(write_sound(tmp_path / "a.mp4"), r"has no video track \(it has: audio\)")


def test_cut_short_without_its_index(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [quadrants(64, 48)] * 20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "is the file complete")


def test_cut_short_with_its_index_gives_what_is_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = write_clip(tmp_path / "a.mp4", list(noise), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = frames(opened(path))
    assert 5 <= len(found) < 30
    assert [frame.frame_id for frame in found] == list(range(len(found)))


def test_damaged_in_the_middle_goes_on_after_it(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    path = write_clip(tmp_path / "a.avi", list(noise), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path.write_bytes(data)
    found = frames(opened(path))
    assert 15 <= len(found) <= 30
    times = [frame.captured_ns for frame in found]
    assert all(later > earlier for earlier, later in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (321, 241), (97, 1), (33, 65)])
def test_odd_and_tiny_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "a.mkv", [quadrants(*size)] * 3, codec="ffv1", pix_fmt="bgr0")
    source = opened(path)
    assert source.size == size
    found = frames(source)
    assert len(found) == 3
    assert found[0].pixels.shape == (size[1], size[0], 3)
    assert found[0].pixels.dtype == np.uint8 and found[0].pixels.flags.c_contiguous
    assert (found[0].pixels == quadrants(*size)).all()


def test_8k_is_scaled_down_to_what_was_asked_for(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mov", [quadrants(7680, 4320)], fps=30, codec="mjpeg", pix_fmt="yuvj420p")
    source = opened(path)
    assert source.size == (1280, 720)
    assert "7680x4320 at 30 fps, scaled down to 1280x720" in source.describe()
    (frame,) = frames(source)
    assert_upright(frame.pixels)


def test_large_portrait_is_scaled_into_the_same_box_upright(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.avi", [quadrants(2160, 3840)], codec="mjpeg", pix_fmt="yuvj420p")
    source = opened(path)
    assert source.size == (720, 1280)
    assert_upright(frames(source)[0].pixels)


def test_grey(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", [grey(64, 48, 90)], codec="ffv1", pix_fmt="gray")
    (frame,) = frames(opened(path))
    assert frame.pixels.shape == (48, 64, 3)
    assert np.abs(frame.pixels.astype(int) - 90).max() <= 2


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "near"),
    [("a.mov", "qtrle", "argb", 1), ("a.mkv", "ffv1", "bgra", 1), ("a.mov", "prores_ks", "yuva444p10le", 8)],
)
def test_alpha_lies_over_black(tmp_path: Path, name: str, codec: str, pix_fmt: str, near: int) -> None:
    pixels = np.full((64, 64, 4), 200, np.uint8)
    pixels[:32, :, 3], pixels[32:, :32, 3], pixels[32:, 32:, 3] = 255, 0, 128
    (frame,) = frames(opened(write_clip(tmp_path / name, [pixels], codec=codec, pix_fmt=pix_fmt)))
    found = corners(frame.pixels)
    assert np.abs(found[:2] - 200).max() <= near
    assert np.abs(found[2]).max() <= near
    assert np.abs(found[3] - 100).max() <= near


@pytest.mark.parametrize("fps", [1, 240, 30000 / 1001])
def test_slow_and_fast(tmp_path: Path, fps: float) -> None:
    path = write_clip(tmp_path / "a.mp4", [grey(32, 32, index * 20) for index in range(8)], fps=fps)
    source = opened(path)
    assert source.fps == pytest.approx(fps, rel=1e-3)
    found = frames(source)
    assert [frame.captured_ns for frame in found] == pytest.approx([index * 1e9 / fps for index in range(8)], abs=1e6)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rate_keeps_its_times(tmp_path: Path, name: str) -> None:
    times_s = [0, 0.033, 0.1, 0.5, 0.51, 1.25]
    path = write_clip(tmp_path / name, [grey(32, 32, index * 20) for index in range(6)], times_s=times_s)
    found = frames(opened(path))
    assert [frame.captured_ns * 1e-9 for frame in found] == pytest.approx(times_s, abs=0.0011)


def test_times_count_from_the_first_picture(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", [grey(32, 32, 0)] * 3, times_s=[2.0, 2.1, 2.2])
    assert [frame.captured_ns * 1e-9 for frame in frames(opened(path))] == pytest.approx([0, 0.1, 0.2], abs=0.0011)


ROTATIONS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}  # clockwise: a, b, c, d of the track's matrix


@pytest.mark.parametrize("clockwise", sorted(ROTATIONS))
def test_rotation_of_the_file_is_applied(tmp_path: Path, clockwise: int) -> None:
    upright = quadrants(48, 64) if clockwise != 180 else quadrants(64, 48)
    stored = np.ascontiguousarray(np.rot90(upright, clockwise // 90))  # turned left, so that turning right restores it
    path = write_clip(tmp_path / "a.mp4", [stored] * 3)
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in ROTATIONS[clockwise])
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    source = opened(path)
    assert source.size == (upright.shape[1], upright.shape[0])
    assert_upright(frames(source)[0].pixels)


def test_size_that_changes_in_the_file_is_fitted(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "a.ts", [grey(64, 48, 200)] * 3)
    wide = write_clip(tmp_path / "b.ts", [grey(128, 48, 200)] * 3)
    joined = tmp_path / "c.ts"
    joined.write_bytes(small.read_bytes() + wide.read_bytes())
    found = frames(opened(joined))
    assert len(found) == 6
    assert {frame.pixels.shape for frame in found} == {(48, 64, 3)}
    assert found[-1].pixels[:10].max() == 0 and found[-1].pixels[24].min() > 150  # bars above and below


def test_mirror_flips_left_and_right(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", [quadrants(64, 48)], codec="ffv1", pix_fmt="bgr0")
    (frame,) = frames(opened(path, mirror=True))
    assert (frame.pixels == quadrants(64, 48)[:, ::-1]).all()
    assert frame.pixels.flags.c_contiguous


def test_untagged_hd_is_taken_as_bt709(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [grey(1280, 720, 0)])
    red = np.zeros((720, 1280, 3), np.uint8)
    red[..., 2] = 255
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "5", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = av.VideoFrame.from_ndarray(red, format="bgr24").reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.colorspace = 2
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (found,) = frames(opened(path))
    assert np.abs(found.pixels.astype(int) - red).max() <= 6


def test_name_that_looks_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "a.mp4", [grey(32, 32, 0)]).rename(tmp_path / "concat:a%d.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(frames(open_source(path.name, CaptureSettings(), FakeClock()))) == 1


def test_close_ends_reading_and_may_be_repeated(tmp_path: Path) -> None:
    source = opened(write_clip(tmp_path / "a.mp4", [grey(32, 32, 0)] * 3))
    assert isinstance(source.read(), Frame)
    source.close()
    source.close()
    assert source.read() is None
