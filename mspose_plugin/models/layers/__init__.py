"""Building blocks that backbones, necks and heads share."""

from mspose_plugin.models.layers.cascaded_pyramid import (
    KAIMING_INIT,
    bottleneck,
    conv_bn,
    cut,
    deconv_bn,
    resize,
)
from mspose_plugin.models.layers.hourglass import (
    Hourglass,
    HourglassOutput,
    HourglassStack,
    Residual,
    check_levels,
)

__all__ = [
    'KAIMING_INIT',
    'Hourglass',
    'HourglassOutput',
    'HourglassStack',
    'Residual',
    'bottleneck',
    'check_levels',
    'conv_bn',
    'cut',
    'deconv_bn',
    'resize',
]
