"""The data-set formats by name."""

from __future__ import annotations

from mspose_plugin.synthetic.coco import CocoLayout
from mspose_plugin.synthetic.flic import FlicLayout
from mspose_plugin.synthetic.layout import Layout
from mspose_plugin.synthetic.mpii import MpiiLayout

LAYOUTS: dict[str, Layout] = {'mpii': MpiiLayout(), 'coco': CocoLayout(), 'flic': FlicLayout()}
