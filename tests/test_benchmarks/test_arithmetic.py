"""The training step against its arithmetic: the products are as many operations as the step."""

import argparse

import pytest
import tiny_run

from mspose_plugin.benchmarks import arithmetic
from mspose_plugin.utils.untrained import counted


@pytest.mark.parametrize('batch', [2, 40])
def test_the_products_have_the_steps_multiply_adds(tmp_path, batch):
    """In whole products alone a large matrix on a GPU was up to half of them off."""
    config = tiny_run.write_config(tmp_path / 'tiny.py', tmp_path)
    args = argparse.Namespace(config=config, cfg_options={}, batch=batch, device='cpu', seed=0)
    (comparison,) = arithmetic.comparisons(args)
    _, products = counted(comparison.baseline)
    _, step = counted(comparison.candidate)
    assert products == pytest.approx(step, abs=1024**2 * 1e-9)  # a row
