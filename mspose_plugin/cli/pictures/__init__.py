"""The pictures that ``mspose draw`` and ``mspose analyze`` make, a module for each."""
