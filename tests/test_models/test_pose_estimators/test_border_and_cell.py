"""Looking again where the pipeline fills the border, and with codecs that move the cell."""

import dots
import numpy as np
import pytest
from mmpose.apis import inference_topdown

from mspose_plugin.utils.errors import InputError

BORDER = (200.0, 90.0, 10.0)


def predict(model, tmp_path, border=None, box=(-40.0, 60.0, 140.0, 200.0)):
    """Predict the person of ``dots`` in a box that leaves the image."""
    for step in model.cfg.test_dataloader.dataset.pipeline:
        if step.type == 'TopdownAffine' and border is not None:
            step.update(type='BorderedTopdownAffine', border=border)
    image = dots.write(tmp_path / 'image.png')
    return inference_topdown(model, image, np.array([box]))[0].pred_instances


def test_the_border_must_be_that_of_the_pipeline(tmp_path):
    conditional = dict(thresholds=1.0)
    found = predict(dots.build(dict(conditional=conditional, border=BORDER)), tmp_path, BORDER)
    assert found.num_trials[0] > 0
    for cfg, border in ((dict(), BORDER), (dict(border=BORDER), None)):
        with pytest.raises(InputError, match='does not give what the network was given'):
            predict(dots.build(dict(conditional=conditional, **cfg)), tmp_path, border)


@pytest.mark.parametrize('offset', [0.0, 0.375, 0.5])
def test_another_scale_does_not_move_the_keypoints(tmp_path, monkeypatch, offset):
    """``dots`` shows a network the input pixel that a cell stands for, here with an offset."""
    codec = dict(
        type='GaussianHeatmap', sigma=2.0, cell_offset=offset, refine='dark', blur_kernel_size=7
    )
    monkeypatch.setitem(dots.CODECS, 'cells', codec)

    def shifted(self, x):
        self.batches.append(len(x))
        # linear interpolation between the pixels 2i and 2i + 1 at 2 (i + offset)
        even, odd = x[..., ::2, :], x[..., 1::2, :]
        x = (1 - 2 * offset) * even + 2 * offset * odd
        return ((1 - 2 * offset) * x[..., ::2] + 2 * offset * x[..., 1::2],)

    monkeypatch.setattr(dots.DotBackbone, 'forward', shifted)
    plain, larger = (
        predict(dots.build(cfg, 'cells', (192, 192)), tmp_path, box=dots.BOX)
        for cfg in ({}, dict(multi_scale=dict(scales=(1.3,))))
    )
    assert np.abs(plain.keypoints[0] - dots.POINTS).max() < 0.15
    assert np.abs(larger.keypoints[0] - dots.POINTS).max() < 0.15
