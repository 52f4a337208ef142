"""When pictures leave for an output that wants them evenly: a steady beat that leans towards the pictures' own.

A virtual camera shows each picture when it is sent, and applications judge it by its rhythm. So pictures leave on a
beat of their own: at each beat the newest one, once more when no new one came, and never two in a row to catch up.

Two clocks that both claim 30 a second differ by some hundred parts in a million. Left alone, the arrivals would
drift through the beat, and whenever the two coincide, pictures would come too late and too early by turns. The beat
therefore follows the arrivals: a phase-locked loop of first order (Gardner, "Phaselock Techniques", ch. 2) that keeps
each arrival ``LEAD`` of an interval before its beat and changes no interval by more than ``MOST_STEER`` of it.
Pictures that come at another rate than the beat's pull it both ways alike and leave it where it is.
"""

from __future__ import annotations

from realtime.errors import UsageError

LEAD = 1 / 3  # arrivals keep this distance: what varies less in its processing is never late
GAIN = 0.1  # how much of its distance from there each arrival corrects
MOST_STEER = 0.005  # 5000 ppm: crystals differ by 100, and 29.97 from 30 by 1000
LEAST_GAP = 0.5  # of an interval: after a late wake-up the next beat is left out rather than sent close behind


class Pacer:
    """The beats of one output. Times are a clock's nanoseconds; not for two threads at once.

    fps: beats a second. Raises UsageError when it is not above 0.
    interval_ns: from beat to beat, before steering.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise UsageError(f"the output's rate is {fps:g} frames a second; wanted more than 0")
        self.interval_ns = round(1e9 / fps)
        self._due_ns: int | None = None

    @property
    def due_ns(self) -> int:
        """The next beat. Raises RuntimeError before the first arrival, which sets it."""
        if self._due_ns is None:
            raise RuntimeError("there is no beat before the first picture")
        return self._due_ns

    def arrived(self, now_ns: int) -> None:
        """A new picture is there: the first sets the beat, later ones draw it towards them."""
        lead_ns = round(LEAD * self.interval_ns)
        if self._due_ns is None:
            self._due_ns = now_ns + lead_ns
            return
        half_ns = self.interval_ns // 2
        error_ns = (now_ns + lead_ns - self._due_ns + half_ns) % self.interval_ns - half_ns  # to the nearest beat
        most_ns = round(MOST_STEER * self.interval_ns)
        self._due_ns += max(-most_ns, min(most_ns, round(GAIN * error_ns)))

    def sent(self, now_ns: int) -> None:
        """A picture left at ``now_ns``: on to the next beat that is no closer than ``LEAST_GAP`` of an interval."""
        due_ns = self.due_ns + self.interval_ns
        short_ns = now_ns + round(LEAST_GAP * self.interval_ns) - due_ns
        if short_ns > 0:
            due_ns += -(-short_ns // self.interval_ns) * self.interval_ns
        self._due_ns = due_ns
