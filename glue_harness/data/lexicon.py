"""Words and sentence templates that the tasks' demo generators share."""


def scene() -> None: ...
