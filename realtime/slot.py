"""Where two threads meet: one item in flight, one waiting, and the newest wins.

A queue between a camera and a model only stores delay. A :class:`LatestSlot` holds a single item: when the consumer is
slow, a newer item takes the place of the waiting one and the producer is told which one was dropped. For files, where
nothing may be lost, the same slot makes the producer wait instead (``every=True``).
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class SlotClosed(Exception):
    """Nothing more will come, or nobody is there to take it."""


class LatestSlot(Generic[Item]):
    """A place for one waiting item between one producer and one consumer thread."""

    def __init__(self, every: bool = False) -> None:
        self._every = every
        self._waiting: Item | None = None
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: Item) -> Item | None:
        """Leave ``item``; return the waiting item that it replaced, if there was one.

        With ``every`` it waits until the place is free, and nothing is ever dropped.
        Raises SlotClosed when the slot is closed, also while it waits.
        """
        with self._changed:
            if self._every:
                self._changed.wait_for(lambda: self._closed or self._waiting is None)
            if self._closed:
                raise SlotClosed("the slot is closed; nobody takes this item") from self._error
            dropped, self._waiting = self._waiting, item
            self._changed.notify_all()
            return dropped

    def get(self, timeout_s: float | None = None) -> Item | None:
        """Take the waiting item, waiting for one if need be; None when none came within ``timeout_s``.

        An item that was left before the slot was closed is still handed out. After that it raises the exception that
        the slot was closed with, or SlotClosed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None, timeout_s)
            item, self._waiting = self._waiting, None
            if item is None and self._closed:
                raise self._error or SlotClosed("the slot is closed and empty")
            self._changed.notify_all()
            return item

    def close(self, error: BaseException | None = None) -> None:
        """Let nothing more in; the consumer meets ``error`` after the last item. The first close counts."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()
