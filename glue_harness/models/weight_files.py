"""Files of weights as transformers' classes write them: each tensor once, whatever shares it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from glue_harness.core.errors import GlueError

WEIGHTS = "model.safetensors"


def distinct(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor once, under its first name: T5's `shared.weight`, which every version of transformers ties from."""
    first = {w.data_ptr(): n for n, w in reversed(weights.items())}
    return {n: w.contiguous() for n, w in weights.items() if first[w.data_ptr()] == n}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All that lies in a folder's files, by name."""
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(str(file))
    return found


def save(module: nn.Module, folder: Path) -> None:
    from safetensors.torch import save_file

    save_file(distinct(module.state_dict()), str(folder / WEIGHTS), metadata={"format": "pt"})


def load(module: nn.Module, folder: Path) -> None:
    """Weights that `save` wrote, into the same model."""
    own = module.state_dict()
    missing, unexpected = module.load_state_dict(read_weights(folder), strict=False)
    if unexpected or not own.keys() - distinct(own).keys() >= set(missing):
        raise GlueError(f"weights in {str(folder)!r} are those of another model: {[*missing, *unexpected][:3]}")
