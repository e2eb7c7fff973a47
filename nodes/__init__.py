"""Every node of the pack in menu order, and the extension that hands them to ComfyUI."""

from __future__ import annotations

import logging

from comfy_api.latest import ComfyExtension, io

from . import (
    adapter_conditioning,
    adapters,
    analysis,
    doctor,
    dubbing,
    expression,
    face_masks,
    faces,
    identity,
    identity_files,
    lips,
    liveportrait,
    mask_video,
    motion,
    motion_edit,
    motion_files,
    motion_mix,
    motion_pictures,
    motion_video,
    provenance,
    regions,
    render,
    restore,
    speakers,
    speech,
    speech_head,
    stitch,
    swap,
    talking,
    talking_head,
    video,
)
from .comfy_runtime import register_folders
from .fetching import register_routes
from .giving_back import giving_memory_back
from .protection import register_protected_folder
from .samples import copy_samples

LOG = logging.getLogger("likeness")

NODES: tuple[type[io.ComfyNode], ...] = (
    analysis.LoadFaceAnalysis,
    face_masks.LoadFaceParser,
    face_masks.LoadOccluder,
    faces.DetectFaces,
    faces.FacesFromLandmarks,
    faces.SelectFaces,
    identity.BuildIdentity,
    identity.MergeIdentities,
    identity.CompareIdentities,
    identity_files.SaveIdentity,
    identity_files.LoadIdentity,
    swap.LoadSwapper,
    swap.SwapFaces,
    restore.LoadFaceRestorer,
    restore.RestoreFaces,
    stitch.CropFaces,
    stitch.StitchFaces,
    face_masks.FaceMask,
    video.TrackFaces,
    video.SwapFacesInVideo,
    restore.RestoreFacesInVideo,
    mask_video.FaceMaskInVideo,
    adapters.LoadIdentityAdapter,
    adapters.ApplyIdentityAdapter,
    adapter_conditioning.ApplyIdentityControl,
    adapter_conditioning.IdentityConditioning,
    regions.IdentityRegions,
    regions.IdentitySchedule,
    expression.ExpressionSliders,
    expression.ExpressionFromPhoto,
    expression.Emotion,
    motion.MotionFromFaces,
    motion.MotionFromLandmarks,
    motion_video.MotionFromVideo,
    motion_files.MotionFromFile,
    motion_files.SaveMotion,
    motion_edit.RetimeMotion,
    motion_edit.AdjustMotion,
    motion_edit.SmoothMotion,
    motion_edit.AddBlinks,
    motion_edit.RetargetMotion,
    motion_mix.MixMotions,
    motion_mix.JoinMotions,
    motion_mix.Keyframes,
    motion.PlotMotion,
    motion_pictures.PosePicture,
    speech.SpeechToMotion,
    speech.SpeechEmotion,
    speakers.SplitSpeakers,
    render.AnimatePortrait,
    render.EditExpression,
    talking.AnimatePortraitToVideo,
    motion_video.AnimateInVideo,
    dubbing.DubVideo,
    provenance.SavePictures,
    provenance.SaveVideo,
    provenance.ReadProvenance,
    liveportrait.LoadLivePortrait,
    liveportrait.LivePortraitMotion,
    lips.LoadLipSync,
    talking_head.LoadDiceTalk,
    talking_head.PrepareTalkingHead,
    speech_head.LoadSpeechHead,
    doctor.Doctor,
)


def with_valid_schema(nodes: tuple[type[io.ComfyNode], ...]) -> list[type[io.ComfyNode]]:
    """The nodes whose schema can be built; the others are named in the log.

    ComfyUI drops a whole pack for one broken schema, whatever the exception is, so this is the one place that
    catches them all.
    """
    valid: list[type[io.ComfyNode]] = []
    for node in nodes:
        try:
            node.GET_SCHEMA()
        except Exception:
            LOG.exception("Likeness: the node %s is left out because its schema cannot be built", node.__name__)
        else:
            valid.append(node)
    return valid


class LikenessExtension(ComfyExtension):
    """What ComfyUI asks for when it loads the pack."""

    async def on_load(self) -> None:
        register_folders()
        identity_files.register_identity_folder()
        speech_head.register_speech_head_folder()
        register_protected_folder()
        talking_head.register_priors_folder()
        copy_samples()
        register_routes()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [giving_memory_back(node) for node in with_valid_schema(NODES)]
