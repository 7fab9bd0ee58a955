"""The data-set formats by name."""

from __future__ import annotations

from .coco import CocoLayout
from .flic import FlicLayout
from .layout import Layout
from .mpii import MpiiLayout

LAYOUTS: dict[str, Layout] = {'mpii': MpiiLayout(), 'coco': CocoLayout(), 'flic': FlicLayout()}
