"""Recordings, read back from the disk: pictures, times, sound, and what is left when something breaks."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from realtime.capture import open_source
from realtime.clock import FakeClock
from realtime.errors import OutputError
from realtime.frames import Frame, Picture
from realtime.outputs import Output, open_output
from realtime.settings import CaptureSettings, OutputSettings
from tests.realtime.clips import as_nobody, corners, grey, quadrants, read_back, write_clip

SIZE = (64, 48)
NAMES = ["a.mp4", "a.mov", "a.mkv"]
MILLISECOND = 0.0011  # the unit of time in Matroska, and rounding


def record(output: Output, pictures: Sequence[np.ndarray], times_s: Sequence[float]) -> None:
    for index, (pixels, time_s) in enumerate(zip(pictures, times_s, strict=True)):
        output.send(Picture(index, round(time_s * 1e9), pixels))


def opened(path: Path | str, size: tuple[int, int] = SIZE, fps: float = 30, source: Path | None = None) -> Output:
    return open_output(str(path), size, fps, OutputSettings(), source)


def noise(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 255, (count, size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_there_with_its_time_and_colours(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    output = opened(path)
    assert output.describe() == f"file {path}: 64x48 at 30 fps, H.264"
    assert not output.wants_pacing and not output.wants_stop
    record(output, [quadrants(*SIZE)] * 20, [7 + index / 30 for index in range(20)])  # a live clock starts anywhere
    output.close()
    written = read_back(path)
    assert written.size == SIZE
    assert written.times_s == pytest.approx([index / 30 for index in range(20)], abs=MILLISECOND)
    assert written.duration_s == pytest.approx(20 / 30, abs=0.01)
    assert np.abs(corners(written.pictures[-1]) - corners(quadrants(*SIZE))).max() <= 12
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("size", [(1, 1), (321, 241), (2, 3), (64, 47)])
def test_odd_sizes_are_made_even_with_the_edge_repeated(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    output = opened(path, size)
    record(output, [grey(*size, 100)] * 3, [0, 0.1, 0.2])
    output.close()
    written = read_back(path)
    assert written.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert len(written.pictures) == 3
    assert np.abs(written.pictures[0].astype(int) - 100).max() <= 3


@pytest.mark.parametrize("fps", [1, 240, 30000 / 1001])
def test_slow_and_fast(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "a.mp4"
    output = opened(path, fps=fps)
    times_s = [index / fps for index in range(8)]
    record(output, [grey(*SIZE, index * 30) for index in range(8)], times_s)
    output.close()
    assert read_back(path).times_s == pytest.approx(times_s, abs=2e-5)


def test_variable_frame_rate_stays_one(tmp_path: Path) -> None:
    times_s = [0, 0.033, 0.1, 0.5, 0.51, 1.25]
    path = tmp_path / "a.mp4"
    output = opened(path)
    record(output, [grey(*SIZE, 0)] * 6, times_s)
    output.close()
    assert read_back(path).times_s == pytest.approx(times_s, abs=2e-5)


def test_times_that_stand_still_lose_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    output = opened(path)
    record(output, [grey(*SIZE, 0)] * 5, [1, 1, 1, 0.5, 2])
    output.close()
    times = read_back(path).times_s
    assert len(times) == 5 and times[-1] == pytest.approx(1)


# Sound


def with_flash(path: Path, times_s: Sequence[float], flash_s: float, sound_s: float, sound_codec: str) -> Path:
    """A clip that turns bright at ``flash_s``, with a click in its sound at ``sound_s``, on the file's own times."""
    pictures = [grey(*SIZE, 230 if time >= flash_s else 20) for time in times_s]
    sound = np.zeros(round(48000 * (times_s[-1] + 1)), np.float32)
    start = round(48000 * sound_s)
    sound[start : start + 4800] = np.sin(np.arange(4800) * 0.2) * 0.8
    return write_clip(path, pictures, times_s=times_s, sound=sound, sound_codec=sound_codec)


def copied_by_hand(source_path: Path, path: Path, most: int | None = None) -> Output:
    """Play a source through a recording, as the pipeline does: times count from its first picture."""
    source = read_back(source_path)
    output = opened(path, source=source_path)
    record(output, source.pictures[:most], [time - source.times_s[0] for time in source.times_s][:most])
    output.close()
    return output


EVEN = [index / 30 for index in range(45)]
VARIABLE = sorted({round(index / 30 + (0.02 if index % 3 else 0), 3) for index in range(45)} - {0.7, 0.733, 0.753})
LATE = [0.4 + time for time in EVEN]


@pytest.mark.parametrize(
    ("source_name", "sound_codec", "name", "becomes"),
    [
        ("s.mp4", "aac", "a.mp4", "aac, copied"),
        ("s.mp4", "aac", "a.mkv", "aac, copied"),
        ("s.mkv", "libmp3lame", "a.mov", "mp3, copied"),
        ("s.mkv", "pcm_s16le", "a.mp4", "pcm_s16le, encoded as AAC"),
        ("s.mkv", "libopus", "a.mp4", "opus, encoded as AAC"),
        ("s.ts", "aac", "a.mp4", "aac, encoded as AAC"),
    ],
)
@pytest.mark.parametrize("times_s", [EVEN, VARIABLE, LATE], ids=["even", "variable", "late"])
def test_sound_stays_with_the_pictures(
    tmp_path: Path, source_name: str, sound_codec: str, name: str, becomes: str, times_s: list[float]
) -> None:
    moment = times_s[25]
    source = with_flash(tmp_path / source_name, times_s, moment, moment, sound_codec)
    output = copied_by_hand(source, tmp_path / name)
    assert output.describe().endswith(f"with the source's sound ({becomes})")
    written = read_back(tmp_path / name)
    assert len(written.pictures) == len(times_s)
    assert written.flash_s() == pytest.approx(moment - times_s[0], abs=0.002)
    assert written.click_s() == pytest.approx(written.flash_s(), abs=1 / 30)


@pytest.mark.parametrize("sound_codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("name", NAMES)
def test_sound_that_begins_later(tmp_path: Path, name: str, sound_codec: str) -> None:
    times_s = [index / 10 for index in range(40)]
    loud = np.sin(np.arange(48000) * 0.2).astype(np.float32) * 0.8
    pictures = [grey(*SIZE, 230 if time >= 2.5 else 20) for time in times_s]
    source = tmp_path / "s.mkv"
    write_clip(source, pictures, 10, times_s=times_s, sound=loud, sound_codec=sound_codec, sound_start_s=2.5)
    copied_by_hand(source, tmp_path / name)
    written = read_back(tmp_path / name)
    assert written.times_s[0] == 0
    assert written.flash_s() == pytest.approx(2.5, abs=0.002)
    assert written.click_s() == pytest.approx(2.5, abs=0.034)


def test_sound_ends_with_the_pictures(tmp_path: Path) -> None:
    source = with_flash(tmp_path / "s.mp4", EVEN, 0.1, 0.1, "aac")
    copied_by_hand(source, tmp_path / "a.mp4", most=15)  # the user stops half a second in
    written = read_back(tmp_path / "a.mp4")
    assert len(written.pictures) == 15
    assert len(written.sound) / 48000 == pytest.approx(0.5, abs=0.05)


def test_source_without_sound_and_sound_switched_off(tmp_path: Path) -> None:
    silent = write_clip(tmp_path / "s.mp4", [grey(*SIZE, 0)] * 3)
    assert copied_by_hand(silent, tmp_path / "a.mp4").describe().endswith("H.264")
    source = with_flash(tmp_path / "t.mp4", EVEN, 0.1, 0.1, "aac")
    output = open_output(str(tmp_path / "b.mp4"), SIZE, 30, OutputSettings(audio=False), source)
    record(output, noise(3), [0, 0.1, 0.2])
    output.close()
    assert not len(read_back(tmp_path / "b.mp4").sound)


def test_sound_of_a_real_clip(tmp_path: Path) -> None:
    clip = Path(__file__).parents[4] / "shared/media/clips/d10.mp4"
    if not clip.exists():
        pytest.skip(f"needs {clip.name} of ../shared/media/clips")
    source = open_source(str(clip), CaptureSettings(), FakeClock())
    output = opened(tmp_path / "a.mp4", source.size, source.fps, clip)
    for frame in itertools.islice(iter(source.read, None), 20):
        assert isinstance(frame, Frame)
        output.send(Picture(frame.frame_id, frame.captured_ns, frame.pixels))
    output.close()
    source.close()
    written, original = read_back(tmp_path / "a.mp4"), read_back(clip, most=20)
    assert written.times_s == pytest.approx(original.times_s, abs=2e-5)
    assert abs(written.sound_start_s - original.sound_start_s) < 0.03
    first = written.sound[4096:12288]  # past the decoder's run-in; copied, so equal to the sample
    at = round((written.sound_start_s - original.sound_start_s) * written.rate) + 4096
    assert np.abs(first).max() > 0.1
    assert np.abs(first - original.sound[at : at + 8192]).max() < 1e-3
    assert len(written.sound) / written.rate == pytest.approx(20 / source.fps, abs=0.1)


# Closing


@pytest.mark.parametrize("name", NAMES)
def test_closing_again_does_nothing_and_sending_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    output = opened(path)
    record(output, noise(3), [0, 0.1, 0.2])
    output.close()
    content = path.read_bytes()
    output.close()
    assert path.read_bytes() == content
    with pytest.raises(OutputError, match="is closed; nothing more can be recorded"):
        record(output, noise(1), [0.3])
    assert path.read_bytes() == content


def test_nothing_recorded_leaves_no_file(tmp_path: Path) -> None:
    opened(tmp_path / "a.mp4").close()
    assert not list(tmp_path.iterdir())


def test_error_elsewhere_leaves_a_finished_file(tmp_path: Path) -> None:
    output = opened(tmp_path / "a.mp4")
    with pytest.raises(ZeroDivisionError):
        try:
            record(output, noise(10), [index / 30 for index in range(10)])
            raise ZeroDivisionError
        finally:
            output.close()
    assert len(read_back(tmp_path / "a.mp4").pictures) == 10
    assert b"moof" not in (tmp_path / "a.mp4").read_bytes()


def test_index_stands_in_front_of_a_finished_mp4(tmp_path: Path) -> None:
    output = opened(tmp_path / "a.mp4")
    record(output, noise(10), [index / 30 for index in range(10)])
    output.close()
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_picture_of_another_size_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    output = opened(tmp_path / "a.mp4")
    record(output, noise(2), [0, 0.1])
    with pytest.raises(ValueError, match=r"picture is uint8 \(24, 32, 3\); wanted uint8 \(48, 64, 3\)"):
        record(output, [grey(32, 24, 0)], [0.2])
    output.close()
    assert len(read_back(tmp_path / "a.mp4").pictures) == 2


# What breaks

KILLED = """
import os, signal, sys
import numpy as np
from realtime.frames import Picture
from realtime.outputs import open_output
from realtime.settings import CaptureSettings, OutputSettings
output = open_output(sys.argv[1], (64, 48), 30, OutputSettings(), None)
pictures = np.random.default_rng(0).integers(0, 255, (90, 48, 64, 3), np.uint8)
for index in range(90):
    output.send(Picture(index, index * 1_000_000_000 // 30, pictures[index]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("name", NAMES)
def test_killed_program_leaves_a_file_that_plays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    written = read_back(path)
    assert 75 <= len(written.pictures) <= 90  # at most the last half second is missing
    assert np.abs(np.diff(written.times_s) - 1 / 30).max() < 0.002


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(output: Output) -> int:
    """Send noise until the output fails; how many pictures it took."""
    for index in range(1000):
        record(output, noise(1, index), [index / 30])
    raise AssertionError("the disk never filled")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs tmpfs")
@pytest.mark.parametrize("name", NAMES)
def test_full_disk_keeps_what_was_recorded(small_disk: Path, name: str) -> None:
    path = small_disk / name
    output = opened(path)
    with pytest.raises(OutputError, match=r"cannot be written: the disk is full; about \d+\.\d s were saved") as caught:
        fill(output)
    assert "\n" not in str(caught.value)
    with pytest.raises(OutputError, match="the disk is full"):
        record(output, noise(1), [99])
    output.close()
    saved_s = float(str(caught.value).partition("about ")[2].partition(" s")[0])
    written = read_back(path)
    assert written.times_s[-1] >= saved_s - 0.6
    assert len(written.pictures) == pytest.approx(written.times_s[-1] * 30 + 1, abs=1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs tmpfs")
def test_disk_without_room_for_the_finished_copy_keeps_the_fragments(small_disk: Path) -> None:
    path = small_disk / "a.mp4"
    output = opened(path)
    count = 0
    while not path.exists() or path.stat().st_size < 200_000:
        record(output, noise(1, count), [count / 30])
        count += 1
    output.close()
    assert len(read_back(path).pictures) == count
    assert [found.name for found in small_disk.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_device_that_is_always_full(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="cannot be written: the disk is full"):
        fill(opened(tmp_path / "a.mp4"))
    assert Path("/dev/full").exists()


LIMITED = """
import resource, sys
from tests.realtime.outputs.test_video_file import fill, opened
from realtime.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
output = opened(sys.argv[1])
try:
    fill(output)
except OutputError as error:
    print(error)
output.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs setrlimit")
def test_file_that_may_not_grow_keeps_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "cannot be written: file too large; about" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000
    assert len(read_back(path).pictures) > 5


# Places that cannot be written


def test_folder_as_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a folder; wanted a file in it, such as .*avatar.mp4"):
        opened(tmp_path)
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        opened(tmp_path / "b.mp4")


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder .*none does not exist; create it first"):
        opened(tmp_path / "none" / "a.mp4")


def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    with as_nobody(), pytest.raises(OutputError, match="cannot be written: permission denied|does not exist"):
        opened(folder / "a.mp4")
    assert not list(folder.iterdir())


def test_file_that_may_not_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"precious")
    path.chmod(0o444)
    tmp_path.chmod(0o755)
    with as_nobody(), pytest.raises(OutputError, match="cannot be written: permission denied|does not exist"):
        opened(path)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("link", ["", "symbolic", "hard"])
def test_the_source_is_never_overwritten(tmp_path: Path, link: str) -> None:
    source = write_clip(tmp_path / "s.mp4", noise(3))
    content = source.read_bytes()
    path = source if not link else tmp_path / "link.mp4"
    if link == "symbolic":
        path.symlink_to(source)
    elif link == "hard":
        os.link(source, path)
    with pytest.raises(OutputError, match="is the source itself; choose another output"):
        opened(path, source=source)
    assert source.read_bytes() == content
