"""Masks of whole pixels against slow and obvious twins."""

import numpy as np
import torch

from likeness.pipelines.stitch.connected import box_mean, grown, narrowed, pieces, widened


def random_mask(share, seed=0, size=(23, 17)):
    return (torch.rand(size, generator=torch.Generator().manual_seed(seed)) < share).float()


def neighbours(y, x, shape, reach=1):
    return [
        (j, i)
        for j in range(max(0, y - reach), min(shape[0], y + reach + 1))
        for i in range(max(0, x - reach), min(shape[1], x + reach + 1))
    ]


def test_growth_goes_on_for_the_given_steps_and_never_leaves_the_room():
    seeds, room = random_mask(0.03, 1), random_mask(0.55, 2)
    reached = {(int(y), int(x)) for y, x in (seeds * room).nonzero()}
    for steps in (1, 3, -1):
        slow = set(reached)
        for _ in range(steps if steps > 0 else room.numel()):
            near = {at for y, x in slow for at in neighbours(y, x, room.shape) if room[at] > 0}
            if near <= slow:
                break
            slow |= near
        fast = {(int(y), int(x)) for y, x in grown(seeds, room, steps).nonzero()}
        assert fast == slow and len(fast) > len(reached)
    assert float(grown(torch.zeros_like(room), room).sum()) == 0


def test_pieces_are_what_growth_from_any_of_their_pixels_reaches():
    mask = random_mask(0.4, 3)
    numbers, count = pieces(mask)
    assert count > 3 and torch.equal(numbers > 0, mask > 0)
    for number in range(1, count + 1):
        piece = (numbers == number).float()
        seed = torch.zeros_like(mask)
        seed[tuple(piece.nonzero()[0])] = 1
        assert torch.equal(grown(seed, mask), piece)
    corners = torch.eye(4)
    assert pieces(corners)[1] == 1 and pieces(corners, corners=False)[1] == 4


def test_squares_widen_narrow_and_average_as_their_definitions_say():
    mask = random_mask(0.3, 4)
    for px in (1, 2):
        for y, x in ((0, 0), (5, 7), (22, 16), (11, 1)):
            seen = np.array([float(mask[at]) for at in neighbours(y, x, mask.shape, px)])
            assert float(widened(mask, px)[y, x]) == seen.max()
            assert float(narrowed(mask, px)[y, x]) == seen.min()
            assert np.isclose(float(box_mean(mask[None], px)[0, y, x]), seen.sum() / (2 * px + 1) ** 2)
