"""LivePortrait whose networks are replaced by ones with a known result: its picture simply follows its keypoints."""

import importlib
import sys

import torch
import torch.nn.functional as F
from torch import nn

#: Inside ComfyUI the pack has the name of its folder.
PACK = next((name.removesuffix(".nodes") for name in sys.modules if name.endswith("Likeness.nodes")), "likeness")


def part(module):
    return importlib.import_module(f"{PACK}.pipelines.{module}")


KEYPOINTS = part("render.liveportrait.motion").KEYPOINTS
ExtractedMotion = part("render.liveportrait.motion").ExtractedMotion
Networks = part("render.liveportrait.networks").Networks
LivePortraitOptions = part("render.liveportrait.options").LivePortraitOptions
LivePortrait = part("render.liveportrait.renderer").LivePortrait
Retargeting = part("render.liveportrait.retargeting").Retargeting
Warped = part("render.liveportrait.warping").Warped
TorchRuntime = part("runtime").TorchRuntime


def networks_of(*modules, runtime=None):
    runtime = runtime or TorchRuntime()
    return Networks(runtime, *(runtime.hold(module.eval().requires_grad_(False)) for module in modules), "0" * 64)


class Reader(nn.Module):
    """A motion extractor that finds the same head, looking straight, in every picture."""

    def forward(self, pictures):
        count = len(pictures)
        spots = torch.linspace(-0.4, 0.4, KEYPOINTS)
        points = torch.stack([spots, spots.roll(7), 0.1 * spots], 1).expand(count, -1, -1)
        still = torch.zeros(count, KEYPOINTS, 3)
        flat = torch.zeros(count, 3)
        return ExtractedMotion(points, still, flat, flat, torch.ones(count, 1), torch.zeros(count, 3, 66))


class Picture(nn.Module):
    """An appearance that is the picture itself."""

    def forward(self, pictures):
        return pictures


class Follow(nn.Module):
    """Moves the whole picture as the keypoints moved on average, in x and y."""

    def forward(self, pictures, driving, source):
        shift = (driving - source)[..., :2].mean(1)
        height, width = pictures.shape[2:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = (torch.stack([x, y], -1) + 0.5) * 2 / torch.tensor([width, height]) - 1
        grid = grid - shift[:, None, None]
        return Warped(F.grid_sample(pictures, grid, align_corners=False, padding_mode="border"), grid, grid)


class Enlarge(nn.Module):
    """A generator that only enlarges."""

    def forward(self, pictures):
        return F.interpolate(pictures, scale_factor=2.0, mode="bilinear", align_corners=False)


class NoStitching(Retargeting):
    """Retargeting networks that change nothing."""

    def __init__(self):
        super().__init__()
        for weight in self.parameters():
            nn.init.zeros_(weight)


def following(**options):
    """A LivePortrait that shows the portrait moved by its keypoints: what it should do can be computed."""
    networks = networks_of(Picture(), Reader(), Follow(), Enlarge(), NoStitching())
    return LivePortrait(networks, LivePortraitOptions(**options))
