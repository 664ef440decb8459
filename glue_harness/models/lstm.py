"""LSTMs over texts of different lengths, beside each other in a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glue_harness.models.dropout import Dropout


class TextDropout(Dropout):
    """One mask for all words of a text: it does not depend on how long the batch's longest text is."""

    def forward(self, states: Tensor) -> Tensor:
        return states * super().forward(states.new_ones(len(states), 1, states.shape[-1])) if self.training else states


def run(layer: nn.LSTM, given: Tensor, counts: Tensor) -> Tensor:
    """A layer over the words of each text and none of the padding; zeros there."""
    packed = pack_padded_sequence(given, counts, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=given.shape[1])[0]


def turned(states: Tensor, counts: Tensor) -> Tensor:
    """Each text's states from the last to the first; what is behind a text stays where it is."""
    places = torch.arange(states.shape[1], device=states.device)
    mirrored = counts.to(states.device)[:, None] - 1 - places
    return states.gather(1, torch.where(mirrored < 0, places, mirrored)[..., None].expand_as(states))


def keep_fixed(module: nn.Module) -> None:
    """Makes buffers of the parameters: saved and moved like them, and learned by no method."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
        if isinstance(part, nn.LSTM):
            part._init_flat_weights()  # its own list of what it computes with
