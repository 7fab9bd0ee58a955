"""``mspose convert`` as a script: ``python tools/convert_checkpoint.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('convert')
