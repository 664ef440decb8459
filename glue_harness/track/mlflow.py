"""MLflow, in a database beside the runs: mlflow ui --backend-store-uri sqlite:///results/mlflow.db.

MLFLOW_TRACKING_URI names another place, such as a server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from glue_harness.core.writing import json_text
from glue_harness.track import PROJECT, Told

PACKAGE = "mlflow"
RUN = "glue.run"  # the tag that finds a run again which goes on
ENDS = {"finished": "FINISHED", "failed": "FAILED"}


def begin(told: Told) -> MLflow:
    return MLflow(told)


class MLflow:
    def __init__(self, told: Told) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        self.metric = Metric
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{told.folder.parent.resolve()}/mlflow.db"
        self.client = MlflowClient(tracking_uri=place)
        known = self.client.get_experiment_by_name(PROJECT)
        experiment = known.experiment_id if known else self.client.create_experiment(PROJECT)
        found = self.client.search_runs([experiment], f"tags.`{RUN}` = '{told.id}'", max_results=1)
        run = found[0] if found else self.client.create_run(experiment, tags={RUN: told.id}, run_name=told.id)
        self.id = run.info.run_id
        if found:
            self.client.update_run(self.id, status="RUNNING")
            return
        tags = [RunTag("glue.tags", ",".join(told.tags)), RunTag("mlflow.note.content", told.note)]
        params = [Param(name, json_text(value)) for name, value in told.settings.items()]
        self.client.log_batch(self.id, params=params, tags=[tag for tag in tags if tag.value])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(self.id, [self.metric(name, value, now, step) for name, value in values.items()])

    def end(self, status: str) -> None:
        self.client.set_terminated(self.id, ENDS.get(status, "KILLED"))
