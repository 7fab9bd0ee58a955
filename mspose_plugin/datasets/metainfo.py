"""What a data set's joints are, from their names and bones: MMPose's metainfo of a COCO category.

COCO's format names the joints and the bones of a category and no more. The rest is derived: which
joints change places in a mirror image, from the usual spellings of left and right; the sigma of
each in COCO's score, where the category does not give it, from that of COCO's joint of the same
name; colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mspose_plugin.utils.checks import check, check_value, numbers, shown

SIDES = (('left', 'right'), ('l', 'r'))
"""Words for the two sides."""
COCO_SIGMAS = {
    ('nose',): 0.026,
    ('eye', 'eyes'): 0.025,
    ('ear', 'ears'): 0.035,
    ('shoulder', 'shldr', 'sho'): 0.079,
    ('elbow', 'elb'): 0.072,
    ('wrist', 'wri'): 0.062,
    ('hip',): 0.107,
    ('knee', 'kne'): 0.087,
    ('ankle', 'ank'): 0.089,
}
"""Words for COCO's joints -> their sigma."""
OTHER_SIGMA = 0.067
"""Of joints that COCO does not have: the mean over its 17 (ours)."""
COLOURS = dict(left=[0, 200, 80], right=[255, 128, 0], middle=[51, 153, 255])


def metainfo_of(category: Mapping[str, Any], dataset_name: str) -> dict[str, Any]:
    """Return MMPose's metainfo (``dataset_info``) of a category in COCO's format.

    Args:
        category: ``keypoints``, K names; ``skeleton``, pairs of names or of numbers, which count
            from 1 as COCO's do, or from 0 if one of them is 0 (default: no bones); ``sigmas``, K
            positive numbers (default: COCO's by name, :data:`OTHER_SIGMA` for others).
        dataset_name: for logs and results.

    Raises:
        InputError: no names, a name twice, a bone that names no joint, or other sigmas.
    """
    names = category.get('keypoints')
    known = isinstance(names, list) and names and all(isinstance(n, str) and n for n in names)
    check_value(known, 'keypoints of the category', names, 'a list of names')
    assert isinstance(names, list)
    twice = [name for name in names if names.count(name) > 1]
    check(not twice, f'keypoints of the category: {shown(twice[:1])} is there twice; rename one')
    partners, bones = mirror_partners(names), bones_of(category)
    given = category.get('sigmas')
    sigmas = numbers(given, (len(names),)) if given is not None else None
    fits = given is None or sigmas is not None and (sigmas > 0).all()
    check_value(fits, 'sigmas of the category', given, f'{len(names)} positive numbers')
    sides = [_side(words(names[k]), words(names[p])) for k, p in enumerate(partners)]
    return dict(
        dataset_name=dataset_name,
        keypoint_info={
            k: dict(
                name=name,
                id=k,
                color=COLOURS[side],
                type='',
                swap=names[partner] if partner != k else '',
            )
            for k, (name, partner, side) in enumerate(zip(names, partners, sides))
        },
        skeleton_info={
            i: dict(
                link=(names[a], names[b]),
                id=i,
                color=COLOURS[sides[a] if sides[a] == sides[b] else 'middle'],
            )
            for i, (a, b) in enumerate(bones)
        },
        joint_weights=[1.0] * len(names),
        sigmas=[*map(sigma_of, names)] if sigmas is None else sigmas.tolist(),
    )


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: ``'LShoulder'`` -> ``('l', 'shoulder')``."""
    found = re.findall(r'[^\W\d_a-z]+(?![a-z])|[^\W\d_][a-z]*|\d+', name)
    return tuple(word.lower() for word in found)


def mirror_partners(names: Sequence[str]) -> list[int]:
    """Find the joints that change places in a mirror image, from names in the usual spellings.

    ``left_x`` ``x_left`` ``l_x`` ``x.L`` ``LeftX`` ``xRight`` ``lx`` ``xl`` ``leftx``, in capital
    letters or not, have a partner where the same name with the other side is there too.

    Args:
        names: of the K joints.

    Returns:
        For each joint its partner's index, its own where it has none.
    """
    index: dict[tuple[str, ...], int] = {}
    for k, name in enumerate(names):
        index.setdefault(words(name), k)
    found = [
        next((index[m] for m in _mirrored(words(name)) if index.get(m, k) != k), k)
        for k, name in enumerate(names)
    ]
    return [p if found[p] == k else k for k, p in enumerate(found)]


def without_partner(names: Sequence[str]) -> list[str]:
    """Return the names that have the word of a side, but whose other side is not there."""
    plain = {word for pair in SIDES for word in pair}
    partners = mirror_partners(names)
    return [n for k, n in enumerate(names) if partners[k] == k and plain & set(words(n))]


def _mirrored(name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield what the name may be on the other side, the surest first."""
    swaps = [(a, b) for pair in SIDES for a, b in (pair, pair[::-1])]
    for a, b in swaps:  # a word of its own
        if a in name:
            yield tuple(b if word == a else word for word in name)
    for a, b in swaps:  # glued to the rest: leftx, xleft, lx, xl
        for i, word in enumerate(name):
            if word.startswith(a):
                yield (*name[:i], b + word[len(a) :], *name[i + 1 :])
            if word.endswith(a):
                yield (*name[:i], word[: -len(a)] + b, *name[i + 1 :])


def _side(own: tuple[str, ...], partner: tuple[str, ...]) -> str:
    """Tell the side of a joint: in every spelling, the left one comes first in the alphabet."""
    return 'middle' if own == partner else 'left' if own < partner else 'right'


def sigma_of(name: str) -> float:
    """Return the sigma of COCO's joint of this name, on whichever side; else another's."""
    whole = set(words(name))
    stems = {s for w in whole for s in (w, w.removeprefix('left'), w.removeprefix('right'))}
    glued = {s for w in stems if w for s in (w[1:], w[:-1]) if {w[0], w[-1]} & {'l', 'r'}}
    if any(whole & set(pair) for pair in SIDES):  # then a rear knee is no ear
        glued = set()
    order = [(known, *joint) for known in (stems, glued) for joint in COCO_SIGMAS.items()]
    return next((s for known, terms, s in order if known & set(terms)), OTHER_SIGMA)


def bones_of(category: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return a category's bones as pairs of joint indices from 0, each once.

    Args:
        category: as for :func:`metainfo_of`.

    Raises:
        InputError: a bone that is no pair of joints.
    """
    names, given = list(category['keypoints']), category.get('skeleton') or []
    pairs = isinstance(given, list) and all(
        isinstance(b, list | tuple) and len(b) == 2 for b in given
    )
    check_value(pairs, 'skeleton of the category', given, 'a list of pairs')
    first = 0 if counts_from_zero(category) else 1
    numbers_of = {name: k for k, name in enumerate(names)}
    numbers_of.update({k + first: k for k in range(len(names))})
    bones = []
    for bone in given:
        known = [isinstance(end, str | int) and end in numbers_of for end in bone]
        expected = f'two of its {len(names)} joints, by name or by number from {first}'
        check_value(all(known), 'skeleton of the category: bone', bone, expected)
        a, b = sorted(numbers_of[end] for end in bone)
        bones.append((a, b))
    return [(a, b) for a, b in dict.fromkeys(bones) if a != b]


def counts_from_zero(category: Mapping[str, Any]) -> bool:
    """Tell whether the numbers of a skeleton count from 0, where COCO's count from 1."""
    return any(0 in bone for bone in category.get('skeleton') or [] if isinstance(bone, list))
