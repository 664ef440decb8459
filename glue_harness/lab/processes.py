"""Starts the processes of a run on this machine and watches over them, by torch's own launcher."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence

from glue_harness.core.errors import GlueError

GOES_ON = "glue run --resume goes on from its newest checkpoint"
SAVING = 120  # seconds that processes have to save when they are asked to stop; then they are killed


def launch(count: int, arguments: Sequence[str]) -> int:
    """`glue ARGUMENTS` in so many processes; the exit code of the first one, which says what went wrong anywhere."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # here, not in the processes: the launcher reports a failure in forty lines
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=secrets.token_hex(8),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        shutdown_timeout=SAVING,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "glue_harness", *arguments)
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as failed:
        code = failed.failures[0].exitcode if 0 in failed.failures else 1
        if code == -signal.SIGTERM and len(failed.failures) > 1:  # it was ended because another one had died
            return 1
        if code < 0:  # it could say nothing any more
            name = signal.Signals(-code).name
            raise GlueError(f"the first of {count} processes was killed ({name}): {GOES_ON}") from None
        return code
    return 0
