"""Prints the table that the One-Euro filter is checked against (``python one_euro_golden.py > one_euro_golden.csv``).

Written from algorithm 1 of Casiez, Roussel, Vogel (CHI 2012) alone, in scalar Python with the paper's own names, and
knows nothing of the program. Columns: parameters, time in nanoseconds (irregular), noisy value, filtered value.
"""

from __future__ import annotations

import math
import random

PARAMETERS = [(1.0, 0.0, 1.0), (1.0, 0.5, 1.0), (0.3, 4.0, 2.0), (6.0, 0.1, 0.5)]
STEPS = 120


def alpha(rate, cutoff):
    tau = 1.0 / (2 * math.pi * cutoff)
    te = 1.0 / rate
    return 1.0 / (1.0 + tau / te)


class LowPass:
    first_time = True

    def filter(self, x, a):
        if self.first_time:
            self.first_time = False
            self.hatxprev = x
        hatx = a * x + (1 - a) * self.hatxprev
        self.hatxprev = hatx
        return hatx


def one_euro(samples, mincutoff, beta, dcutoff):
    xfilt, dxfilt = LowPass(), LowPass()
    first_time = True
    previous = None
    for time, x in samples:
        if first_time:
            first_time = False
            dx, rate = 0.0, 1.0
        else:
            rate = 1.0 / ((time - previous) / 1e9)
            dx = (x - xfilt.hatxprev) * rate
        previous = time
        edx = dxfilt.filter(dx, alpha(rate, dcutoff))
        cutoff = mincutoff + beta * abs(edx)
        yield time, x, xfilt.filter(x, alpha(rate, cutoff))


def samples(seed):
    """Rest, a fast move, and rest again, with noise, at times that do not come regularly."""
    chance = random.Random(seed)
    time = 0
    for step in range(STEPS):
        still = 0.0 if step < 40 else min((step - 40) / 10, 1.0) * 3.0
        yield time, still + chance.gauss(0, 0.05)
        time += chance.choice([4_166_667, 16_666_667, 33_333_333, 33_333_333, 50_000_000, 120_000_001])


def main():
    print("mincutoff,beta,dcutoff,time_ns,value,filtered")
    for seed, (mincutoff, beta, dcutoff) in enumerate(PARAMETERS):
        for time, x, filtered in one_euro(samples(seed), mincutoff, beta, dcutoff):
            print(f"{mincutoff!r},{beta!r},{dcutoff!r},{time},{x!r},{filtered!r}")


if __name__ == "__main__":
    main()
