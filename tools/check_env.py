"""``mspose check-env`` as a script: ``python tools/check_env.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('check-env')
