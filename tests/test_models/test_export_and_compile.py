"""Whole networks, head included, pass torch.export, and torch.compile as one graph."""

import pytest
import torch
from mmpose.registry import MODELS
from torch.utils._pytree import tree_leaves

HOURGLASS = dict(num_stacks=2, channels=16, depth=2, levels=(2, 1))
REGRESSION = dict(type='MSRHead', channels=16, depth=2, levels=(2, 1))
RESNEST = dict(type='ResNeSt', depth=50, stem_channels=64, out_indices=(0, 1, 2, 3))
NETWORKS = dict(
    hourglass=dict(
        backbone=dict(type='MultiScaleHourglass', **HOURGLASS), head=dict(type='MSSHead')
    ),
    msspose_stem=dict(
        backbone=dict(type='MultiScaleHourglass', context='stem', **HOURGLASS),
        head=dict(context_channels=16, **REGRESSION),
    ),
    msspose_image=dict(
        backbone=dict(type='MultiScaleHourglass', context='image', **HOURGLASS),
        head=dict(context_channels=3, input_stacks=2, **REGRESSION),
    ),
    msspose_first_stage=dict(
        backbone=dict(type='MultiScaleHourglass', context='stem', **HOURGLASS),
        head=dict(context_channels=16, refine=False, **REGRESSION),
    ),
    mlpe=dict(
        backbone=RESNEST,
        neck=dict(type='MultiLevelNeck', channels=8),
        head=dict(type='MLPEHead', channels=8),
    ),
    mlpe_bilinear_with_skips=dict(
        backbone=RESNEST,
        neck=dict(type='MultiLevelNeck', channels=8, upsample='bilinear', lateral_skips=True),
        head=dict(type='MLPEHead', channels=8, prediction_kernel=1),
    ),
)


@pytest.fixture(params=NETWORKS)
def network(request):
    """Return a pose estimator in test mode, and an image of a size that MLPE's levels cut."""
    model = MODELS.build(
        dict(type='ConditionalTopdownPoseEstimator', **NETWORKS[request.param])
    ).eval()
    size = (52, 76) if request.param.startswith('mlpe') else (48, 64)
    return model, torch.rand(1, 3, *size)


class Prediction(torch.nn.Module):
    """The heatmaps that keypoints are decoded from."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model.head.predict_heatmaps(self.model.extract_feat(x))


def same(a, b):
    torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_exported_program_gives_the_same_heatmaps(network):
    model, image = network
    program = torch.export.export(model, (image, None), dict(mode='tensor'))
    same(model(image, None, mode='tensor'), program.module()(image, None, mode='tensor'))


@pytest.mark.parametrize('network', ['msspose_stem', 'mlpe'], indirect=True)
@torch.no_grad()
def test_what_is_decoded_is_the_last_of_all_heatmaps_and_can_be_exported_alone(network):
    model, image = network
    prediction = Prediction(model)
    same(tree_leaves(model(image, None, mode='tensor'))[-1], prediction(image)['heatmaps'])
    same(prediction(image), torch.export.export(prediction, (image,)).module()(image))


@pytest.mark.parametrize('network', ['msspose_stem', 'msspose_image', 'mlpe'], indirect=True)
def test_compiled_as_one_graph_it_gives_the_same_heatmaps_and_gradients(network):
    """Other back-ends than the eager one take longer, and the graph is what may break."""
    model, image = network
    results = []
    for forward in (model, torch.compile(model, fullgraph=True, backend='eager')):
        model.zero_grad()
        outputs = tree_leaves(forward(image, None, mode='tensor'))
        sum(h.square().mean() for h in outputs).backward()
        results.append([*outputs, *(p.grad for p in model.parameters() if p.grad is not None)])
    same(*results)
