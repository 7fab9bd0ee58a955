"""Export: a model as a file that runs without the model's code.

``graph`` is what is exported (the network, with pre-processing and ``decoding`` on request),
``description`` what the file says of itself, ``formats`` writes and reads, ``files`` runs,
``network`` makes a pose estimator of one for MMPose, ``quantization`` makes int8, ``comparison``
holds a file against PyTorch.
"""

from mspose_plugin.export import network
from mspose_plugin.export.description import Description

__all__ = ['Description', 'network']
