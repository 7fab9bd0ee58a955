"""``mspose test`` as a script: ``python tools/test.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('test')
