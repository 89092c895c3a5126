import io

from psm_predictor.batch.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    """With how much of the file, how fast, and how many were refused."""
    log, now = io.StringIO(), [0.0]
    progress = Progress(log, 1_000_000, lambda: now[0])

    for now[0] in (4.0, 9.9, 10.0, 12.0):
        progress.advance(100_000, 1)
    progress.clear()

    assert log.getvalue() == "300,000 rows of 1,000,000 (30%), 30,000 rows/s, 3 refused\n"


def test_a_terminal_gets_one_line_that_renews_itself() -> None:
    """Twice a second, gone at the end; a CSV does not say how many rows it has."""
    terminal, now = _Terminal(), [0.0]
    progress = Progress(terminal, None, lambda: now[0])

    for now[0] in (0.4, 0.5, 0.9, 1.0):
        progress.advance(1000, 0)
    progress.clear()

    assert terminal.getvalue().split("\r\x1b[K") == [
        "",
        "2,000 rows, 4,000 rows/s, 0 refused",
        "4,000 rows, 4,000 rows/s, 0 refused",
        "",
    ]
