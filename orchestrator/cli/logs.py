"""The program's own log, for those who ask for it with ``--debug``."""

from __future__ import annotations

import logging
import sys


class OnStderr(logging.Handler):
    """Writes to what ``sys.stderr`` is at that moment, so that a live view is not torn."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or several with a traceback."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except OSError:  # the terminal is gone; the run goes on
            self.flush()


def log_everything(debug: bool) -> None:
    """With ``debug``: write the log of this program to stderr, every level."""
    if not debug:
        return
    handler = OnStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger("orchestrator")
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG)
