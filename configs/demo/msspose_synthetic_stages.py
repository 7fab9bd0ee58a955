# The complete method, small: regression network, structure-aware loss, three stages, masking.
_base_ = '../ablation/synthetic/5_masking.py'
