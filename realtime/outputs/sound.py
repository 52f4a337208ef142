"""The sound of a source file, carried over into a recording of its pictures.

Times count from the source's first picture, as those of the recorded pictures do, so that both stay together: sound
from before it is left out, and sound is passed on only as far as there are pictures.
Sound that the new file can hold as it is is copied without loss; other sound is encoded as AAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

COPIED = {
    "mp4": {"aac", "mp3", "alac"},
    "mov": {"aac", "mp3", "alac", "pcm_s16le"},
    "matroska": {"aac", "mp3", "alac", "ac3", "eac3", "opus", "vorbis", "flac", "pcm_s16le"},
}
WANT_HEADER = {"aac", "alac", "opus", "vorbis", "flac"}  # these are copied only with their header outside the packets
AAC_BIT_RATE = 160_000
DAMAGED = (av.error.FFmpegError, OSError, ValueError)


class SoundTrack:
    """The first sound track of ``source_path``, as a track of the recording ``target``.

    description: what becomes of the sound, for people.
    """

    def __init__(
        self, source: av.container.InputContainer, start_s: Fraction, target: av.container.OutputContainer
    ) -> None:
        self._source = source
        self._track = source.streams.audio[0]
        self._start_s = start_s
        self._target = target
        name = self._track.codec_context.codec.canonical_name
        if self._can_copy(name):
            self.description = f"with the source's sound ({name}, copied)"
            self._stream = target.add_stream_from_template(self._track)
            self._packets = self._copied()
        else:
            self.description = f"with the source's sound ({name}, encoded as AAC)"
            self._stream = target.add_stream("aac", rate=self._track.codec_context.sample_rate)
            self._stream.bit_rate = AAC_BIT_RATE
            self._stream.layout = "mono" if self._track.codec_context.layout.nb_channels == 1 else "stereo"
            self._packets = self._encoded()
        self._waiting: Packet[Any] | None = None

    def feed(self, until_s: Fraction) -> None:
        """Write the sound from where it was left up to ``until_s``, seconds after the first picture."""
        while True:
            packet, self._waiting = self._waiting or next(self._packets, None), None
            if packet is None:
                return
            if Fraction(packet.pts or 0) * packet.time_base >= until_s:
                self._waiting = packet
                return
            self._target.mux(packet)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _can_copy(self, name: str) -> bool:
        has_header = name not in WANT_HEADER or bool(self._track.codec_context.extradata)
        return has_header and name in COPIED[self._target.format.name]

    def _copied(self) -> Iterator[Packet[Any]]:
        """The source's packets from the first picture on, with their times moved."""
        for packet in _packets(self._source, self._track):
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(self._start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._stream
            if self._belongs(packet):
                yield packet

    def _encoded(self) -> Iterator[Packet[Any]]:
        """The source's sound from the first picture on, encoded."""
        layout, rate = self._stream.layout, self._stream.rate
        planar = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        for frame in self._decoded():
            for part in planar.resample(frame):
                if (kept := self._from_first_picture(part)) is not None:
                    yield from self._kept(self._stream.encode(kept))
        yield from self._kept(self._stream.encode(None))

    def _from_first_picture(self, part: av.AudioFrame) -> av.AudioFrame | None:
        """What of a float frame is not before the first picture, with its time moved; None when nothing is."""
        if part.pts is None or part.time_base is None:
            return None
        first = round((Fraction(part.pts) * part.time_base - self._start_s) * part.sample_rate)
        if first + part.samples <= 0:
            return None
        samples = np.ascontiguousarray(part.to_ndarray()[:, max(0, -first) :])
        kept = av.AudioFrame.from_ndarray(samples, format="fltp", layout=part.layout.name)
        kept.sample_rate, kept.time_base, kept.pts = part.sample_rate, Fraction(1, part.sample_rate), max(0, first)
        return kept

    def _kept(self, packets: list[Packet[Any]]) -> list[Packet[Any]]:
        return [packet for packet in packets if self._belongs(packet)]

    def _belongs(self, packet: Packet[Any]) -> bool:
        """Whether a packet is heard from the first picture on, or prepares a decoder for the one that is.

        MP4 and MOV leave out what lies before 0 when they are played (by an edit list). Matroska cannot, but holds the
        time of every packet, so that it may begin with the first whole one.
        """
        if packet.pts is None:
            return False
        if self._target.format.name == "matroska":
            return packet.pts >= 0
        return packet.pts + 2 * (packet.duration or 0) > 0

    def _decoded(self) -> Iterator[av.AudioFrame]:
        for packet in _packets(self._source, self._track):
            try:
                yield from self._track.decode(packet)
            except DAMAGED:
                continue


def open_sound(source_path: Path, target: av.container.OutputContainer) -> SoundTrack | None:
    """The sound of ``source_path`` as a track of ``target``; None when it has none that can be read."""
    try:
        source = av.open(f"file:{source_path}", mode="r", container_options={"protocol_whitelist": "file"})
    except DAMAGED:
        return None
    if not source.streams.audio or source.streams.audio[0].codec_context is None:
        source.close()
        return None
    return SoundTrack(source, _first_picture_s(source_path), target)


def _first_picture_s(path: Path) -> Fraction:
    """The presentation time of a file's first picture in seconds."""
    with av.open(f"file:{path}", mode="r", container_options={"protocol_whitelist": "file"}) as container:
        stream = next(
            (one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic), None
        )
        for packet in _packets(container, stream) if stream is not None else ():
            try:
                frame = next(iter(packet.decode()), None)
            except DAMAGED:
                continue
            if frame is not None:
                return Fraction(frame.pts or 0) * (frame.time_base or 0)
    return Fraction(0)


def _packets(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[Packet[Any]]:
    """The packets of a stream, up to where the file ends or cannot be read any further."""
    try:
        yield from container.demux(stream)
    except DAMAGED:
        return
