"""``python -m mspose_plugin``: the ``mspose`` command."""

from mspose_command import main

if __name__ == '__main__':
    main()
