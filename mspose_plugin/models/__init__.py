"""Networks, heads and losses; importing this package registers them in MMPose's MODELS."""

from mspose_plugin.models import backbones, heads, layers, losses, necks, pose_estimators

__all__ = ['backbones', 'heads', 'layers', 'losses', 'necks', 'pose_estimators']
