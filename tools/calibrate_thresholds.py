"""``mspose calibrate`` as a script: ``python tools/calibrate_thresholds.py --help``."""

from mspose_command import start

if __name__ == '__main__':
    start('calibrate')
