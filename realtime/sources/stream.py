"""Streams from the network: ``rtsp://``, ``http://``, ``https://``, ``srt://`` and their like, through FFmpeg.

A stream without an end (a camera, a broadcast) is opened again when it breaks off. What FFmpeg buffers while it looks
at the beginning causes no delay: it is decoded at once, and the newest picture wins. A clip of known length is played
at its own speed instead, and ends where it ends.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import av

from realtime.clock import Clock
from realtime.errors import SourceError
from realtime.frames import Pixels
from realtime.settings import CaptureSettings
from realtime.sources.live import DeviceGone, LiveSource
from realtime.sources.pictures import bgr, capped, decoded, upright_size
from realtime.sources.video_file import picture_stream, reason_of, stated_fps

SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "srt", "udp", "tcp")
LOW_DELAY = {"flags": "low_delay", "max_delay": "0"}
OF_SCHEME = {"rtsp": {"rtsp_transport": "tcp"}, "rtsps": {"rtsp_transport": "tcp"}}


class StreamDevice:
    """One opened stream. Raises SourceError when it cannot be opened or has no picture."""

    def __init__(self, url: str, settings: CaptureSettings, clock: Clock) -> None:
        self._url, self._clock = without_password(url), clock
        self._container = _opened(url, self._url, settings)
        try:
            stream = picture_stream(self._container, self._url)
            stream.thread_type = "SLICE"  # threads by frame would hold pictures back
            self.fps = stated_fps(stream)
            self._lasts = self._container.duration is not None and self._container.duration > 0
            self._pictures = decoded(self._container, stream)
            self._first = next(self._pictures, None)
        except (av.error.FFmpegError, OSError) as error:
            self._container.close()
            raise SourceError(f"{self._url} delivers no picture ({_reason(error)})") from None
        except SourceError:
            self._container.close()
            raise
        if self._first is None:
            self._container.close()
            raise SourceError(f"{self._url} delivers no picture")
        self._own_size = upright_size(self._first)
        self.size = capped(self._own_size, settings)
        self._start_s = self._first.time
        self._started_ns = clock.now_ns()

    def describe(self) -> str:
        """Address without its password, size, rate, and whether it is a clip or without end."""
        kind = "clip" if self._lasts else "stream"
        line = f"{kind} {self._url}: {self._own_size[0]}x{self._own_size[1]} at {self.fps:.4g} fps"
        return line if self.size == self._own_size else f"{line}, scaled down to {self.size[0]}x{self.size[1]}"

    def grab(self) -> tuple[int, Pixels] | None:
        """The next picture, as soon as it is there; of a clip, when its time has come."""
        try:
            picture, self._first = self._first or next(self._pictures, None), None
        except (av.error.FFmpegError, OSError) as error:
            raise self._broken(_reason(error)) from None
        if picture is None:
            if self._lasts:
                return None
            raise DeviceGone(f"{self._url} has ended")
        if self._lasts and picture.time is not None and self._start_s is not None:
            self._clock.sleep_until_ns(self._started_ns + round((picture.time - self._start_s) * 1e9))
        captured_ns = self._clock.now_ns()
        return captured_ns, bgr(picture, self.size)

    def close(self) -> None:
        """Close the connection."""
        self._container.close()

    def _broken(self, reason: str) -> Exception:
        """A stream may come back; a clip that breaks off would only start over."""
        if self._lasts:
            return SourceError(f"{self._url} broke off before its end ({reason})")
        return DeviceGone(f"{self._url} broke off: {reason}")


def open_stream(url: str, settings: CaptureSettings, clock: Clock) -> LiveSource:
    """The stream at ``url``. Raises SourceError when it cannot be opened within ``settings.open_timeout_ms``."""
    try:
        urlsplit(url)
    except ValueError as error:
        raise SourceError(f"{url} is no address ({error}); wanted one such as rtsp://host:554/path") from None
    return LiveSource(lambda: StreamDevice(url, settings, clock), settings)


def without_password(url: str) -> str:
    """``url`` as it may be shown: name and password before the host are left out."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _reason(error: BaseException) -> str:
    return "no data came in time" if isinstance(error, av.error.ExitError) else reason_of(error)


def _opened(url: str, shown: str, settings: CaptureSettings) -> av.container.InputContainer:
    timeout_s = settings.open_timeout_ms / 1000
    options = {**LOW_DELAY, **OF_SCHEME.get(urlsplit(url).scheme.lower(), {})}
    try:
        return av.open(url, mode="r", options=options, timeout=(timeout_s, timeout_s), metadata_errors="replace")
    except av.error.ExitError:
        raise SourceError(f"{shown} did not answer within {timeout_s:g} s; check the address and the network") from None
    except av.error.ProtocolNotFoundError:
        scheme = urlsplit(url).scheme
        raise SourceError(
            f"{shown} cannot be opened: the FFmpeg inside the installed PyAV was built without {scheme}; "
            f"send the stream as rtsp, rtmp, http or udp, or build PyAV against an FFmpeg with {scheme}"
        ) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{shown} cannot be opened ({reason_of(error)}); check the address and the network") from None
