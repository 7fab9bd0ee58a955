"""``mspose train`` as a script: ``python tools/train.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('train')
