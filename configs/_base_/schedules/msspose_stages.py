# MSSPose §4.1: the MSS-net alone, the MSR-net with the MSS-net fixed, both with keypoint masking.
# Each stage starts from the last weights of the one before and from the initial learning rate. A
# config lists the stages in default_hooks.stages and gives the last one its data.
_base_ = './plateau.py'

train_loop = dict(max_epochs=300)

mss_stage = dict(name='mss', epochs=150, train=['backbone'], set={'head.refine': False})
msr_stage = dict(name='msr', epochs=75, train=['head'])
joint_stage = dict(name='joint', epochs=75)
