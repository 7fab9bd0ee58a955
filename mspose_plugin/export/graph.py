"""What is exported: the network, on request with pre-processing and decoding around it."""

from __future__ import annotations

from typing import Any

import torch
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from torch import Tensor, nn

from mspose_plugin.export.decoding import decoder
from mspose_plugin.export.description import Description
from mspose_plugin.utils.checks import check

EXAMPLE_BATCH = 2
"""Exporters take a batch of 1 for a constant."""


class PoseGraph(nn.Module):
    """A pose estimator as a function of tensors.

    Args:
        model: pose estimator with weights, in evaluation mode.
        description: what goes in and comes out.

    Raises:
        InputError: the head predicts something else than the description says.
    """

    model: Any
    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, description: Description) -> None:
        super().__init__()
        self.model = model
        self.description = description
        shape = (1, 3, 1, 1)
        self.register_buffer('mean', torch.tensor(description.mean).view(shape), persistent=False)
        self.register_buffer('std', torch.tensor(description.std).view(shape), persistent=False)
        self.decode = decoder(description.codec) if description.output == 'keypoints' else None
        self._check_outputs()

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what :meth:`forward` returns."""
        return OUTPUT_NAMES[self.description.output]

    def example(self, batch: int = EXAMPLE_BATCH) -> Tensor:
        """Return random input of a batch size."""
        width, height = self.description.input_size
        generator = torch.Generator().manual_seed(batch)
        if self.description.input == 'normalized':
            images = torch.randn(batch, 3, height, width, generator=generator)
        else:
            images = torch.randint(0, 256, (batch, height, width, 3), generator=generator).byte()
        return images.to(self.mean.device)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Predict.

        Args:
            images: see :class:`~mspose_plugin.export.description.Description`.

        Returns:
            The outputs of :attr:`output_names`, float32.
        """
        images = self._prepared(images)
        outputs = self._network(images)
        if self.decode is not None:
            if self.description.test_cfg.get('flip_test'):
                mirrored = self._flipped(self._network(images.flip(-1)))
                outputs = tuple(0.5 * (a + b) for a, b in zip(outputs, mirrored))
            outputs = self.decode(*outputs)
        return outputs

    def _prepared(self, images: Tensor) -> Tensor:
        described = self.description
        if described.input == 'normalized':
            return images.to(self.mean.dtype)
        images = images.permute(0, 3, 1, 2).to(self.mean.dtype)
        if described.input != described.channels:
            images = images.flip(1)
        return (images - self.mean) / self.std

    def _network(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the heatmaps, or SimCC's two outputs, in float32."""
        feats, head = self.model.extract_feat(images), self.model.head
        if hasattr(head, 'predict_heatmaps'):
            outputs = head.predict_heatmaps(feats)['heatmaps']
        else:
            outputs = head(feats)
            if isinstance(outputs, list):  # of stages
                outputs = outputs[-1]
        return tuple(o.float() for o in (outputs if isinstance(outputs, tuple) else (outputs,)))

    def _flipped(self, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        indices, options = list(self.description.flip_indices), self.description.test_cfg
        if len(outputs) == 2:
            return flip_vectors(*outputs, flip_indices=indices)
        mode, shift = options.get('flip_mode', 'heatmap'), options.get('shift_heatmap', False)
        flipped = flip_heatmaps(outputs[0], indices, mode, shift_heatmap=False)
        if shift:  # MMPose's own writes into a part of the tensor
            flipped = torch.cat([flipped[..., :1], flipped[..., :-1]], -1)
        return (flipped,)

    @torch.no_grad()
    def _check_outputs(self) -> None:
        codec, kind = self.description.codec, type(self.model.head).__name__
        simcc = codec['type'] == 'SimCCLabel'
        try:
            outputs = self._network(self._prepared(self.example(1)))
            shapes = [tuple(o.shape[1:]) for o in outputs]
        except AttributeError:  # parts that are no tensors
            shapes = []
        count = len(self.description.keypoints)
        count *= 3 if codec.get('heatmap_type') == 'combined' else 1
        if simcc:
            fits = [shape[:1] for shape in shapes] == [(count,)] * 2
        else:
            fits = shapes == [(count, *reversed(codec['heatmap_size']))]
        known = 'SimCC' if simcc else f'{count} heatmaps of {codec.get("heatmap_size")} cells'
        check(fits, f'head {kind}: its output {shapes} cannot be exported; expected {known}')


OUTPUT_NAMES = dict(
    heatmaps=('heatmaps',), simcc=('simcc_x', 'simcc_y'), keypoints=('keypoints', 'scores')
)
"""Names of a graph's outputs."""
