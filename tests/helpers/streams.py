"""Generators for processes of their own, by how these end."""

import os
import time


def numbers(count):
    yield from range(count)
    print('all are made')


def failing(count):
    yield from range(count)
    raise ValueError('no more')


def dying(count):
    yield from range(count)
    os._exit(9)


def waiting(path):
    try:
        yield os.getpid()
        time.sleep(1000)
    finally:
        path.touch()


def endless(settings, deadline):
    yield dict(what='first', state='ok', figures={}, why='')
    time.sleep(1000)


def short(settings, deadline):
    yield dict(what=settings.config, state='ok', figures={}, why='')
