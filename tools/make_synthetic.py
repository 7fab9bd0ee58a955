"""``mspose synthesize`` as a script: ``python tools/make_synthetic.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('synthesize')
