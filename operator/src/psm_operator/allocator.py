"""How this process keeps memory: called once at the start, after the imports."""

import ctypes
import gc
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""mallopt(3)."""

LARGE_BYTES: Final = 256 * 1024
"""A list of a thousand objects is megabytes: such blocks go back to the system when they are freed."""


def keep_little() -> None:
    """Give freed memory back, and spare the collector what was imported.

    Left alone, glibc learns from the first large answer to keep blocks of its size on the heap, which small ones then
    pin, and gives each thread a heap of its own. Other C libraries have no mallopt, and do neither.
    """
    gc.collect()
    gc.freeze()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)
