"""Workflows with large models, made to run on the tiny ones: the loaders give way, everything else stays."""

from __future__ import annotations

from typing import Any

Prompt = dict[str, dict[str, Any]]

#: Choice in Load Face Analysis → the recogniser that stands in for its.
RECOGNISERS = {"antelopev2": "arcface_glintr100", "buffalo_l": "arcface_w600k_r50", "arc2face": "arcface_arc2face"}

#: The speech head that a workflow names, trained for ComfyUI's large wav2vec2; the tests' is for their tiny one.
HEAD = "wav2vec2_large_english"

#: Files that the workflows of adapters name and a fresh ComfyUI has not.
NAMED_FILES = (
    "checkpoints/v1-5-pruned-emaonly-fp16.safetensors",
    "checkpoints/sd_xl_base_1.0.safetensors",
    "diffusion_models/flux1-dev.safetensors",
    "diffusion_models/arc2face/diffusion_pytorch_model.safetensors",
    "text_encoders/clip_l.safetensors",
    "text_encoders/t5xxl_fp8_e4m3fn.safetensors",
    "vae/ae.safetensors",
    "controlnet/instantid/diffusion_pytorch_model.safetensors",
    "controlnet/control_v2p_sd15_mediapipe_face.safetensors",
    "clip_vision/CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
    "audio_encoders/wav2vec2_large_english_fp16.safetensors",
    f"likeness/speech_heads/{HEAD}.safetensors",
    "vae/vae-ft-mse-840000-ema-pruned.safetensors",
    "checkpoints/svd_xt.safetensors",
    "dice_talk/emo/happy.npy",
)
#: Files of adapters that they name.
ADAPTER_FILES = (
    "instantid/ip-adapter.bin",
    "ipadapter/ip-adapter-faceid-plusv2_sd15.bin",
    "pulid/pulid_v1.1.safetensors",
    "pulid/pulid_flux_v0.9.1.safetensors",
    "photomaker/photomaker-v2.bin",
    "arc2face/encoder/pytorch_model.bin",
)
EVA_FILE = "clip/EVA02_CLIP_L_336_psz14_s6B.pt"


def kind_of(file: str) -> str:
    return "FLUX" if "flux" in file else "SDXL" if "xl" in file else "SD1.5"


def with_tiny_models(prompt: Prompt) -> Prompt:
    """The prompt with tiny models, pictures of 256 px and two steps; our analysis stands in for core's landmarker."""
    replaced = {key: {**node, "inputs": dict(node["inputs"])} for key, node in prompt.items()}
    replaced = _without_core_landmarker(replaced)
    for key, node in list(replaced.items()):
        _replace(replaced, key, node)
    return replaced


def _without_core_landmarker(prompt: Prompt) -> Prompt:
    replaced = dict(prompt)
    for key, node in prompt.items():
        if node["class_type"] == "LoadMediaPipeFaceLandmarker":
            replaced[key] = {"class_type": "LikenessLoadFaceAnalysis", "inputs": {"backend": "embedded"}}
        elif node["class_type"] == "MediaPipeFaceLandmarker":
            inputs = {"image": node["inputs"]["image"], "analysis": node["inputs"]["face_detection_model"]}
            inputs |= {"threshold": 0.5, "max_faces": 0, "min_size_px": 0}
            replaced["found"] = {"class_type": "LikenessDetectFaces", "inputs": inputs}
            replaced[key] = {"class_type": "LikenessTestLandmarksFromFaces", "inputs": {"faces": ["found", 0]}}
    return replaced


def _replace(prompt: Prompt, key: str, node: dict[str, Any]) -> None:
    inputs, name = node["inputs"], node["class_type"]
    meta = {"_meta": node.get("_meta", {})}
    if name == "CheckpointLoaderSimple":
        prompt[key] = {"class_type": "LikenessTestCheckpoint", "inputs": {"kind": kind_of(inputs["ckpt_name"])}, **meta}
    elif name == "UNETLoader":
        prompt[key] = {"class_type": "LikenessTestCheckpoint", "inputs": {"kind": kind_of(inputs["unet_name"])}, **meta}
    elif name == "DualCLIPLoader":
        prompt[key] = {"class_type": "LikenessTestClip", "inputs": {"kind": "FLUX"}, **meta}
    elif name == "VAELoader":
        prompt[key] = {"class_type": "LikenessTestVae", "inputs": {}, **meta}
    elif name == "ImageOnlyCheckpointLoader":
        prompt[key] = {"class_type": "LikenessTestVideoCheckpoint", "inputs": {}, **meta}
    elif name == "ControlNetLoader":
        kind = "SD1.5" if "sd15" in inputs["control_net_name"] else "SDXL"
        prompt[key] = {"class_type": "LikenessTestControlNet", "inputs": {"kind": kind}, **meta}
    elif name == "CLIPVisionLoader":
        prompt[key] = {"class_type": "LikenessTestClipVision", "inputs": {"width": 1280}, **meta}
    elif name == "AudioEncoderLoader":
        prompt[key] = {"class_type": "LikenessTestAudioEncoder", "inputs": {"kind": "wav2vec2"}, **meta}
    elif name == "LikenessLoadLivePortrait":
        prompt[key] = {"class_type": "LikenessTestLivePortrait", "inputs": {}, **meta}
    elif name == "LikenessLoadFaceParser":
        prompt[key] = {"class_type": "LikenessTestFaceParser", "inputs": {"parser": inputs["parser"]}, **meta}
    elif name == "LikenessLoadFaceAnalysis" and inputs["backend"] in RECOGNISERS:
        prompt[f"{key}_embedded"] = {"class_type": name, "inputs": {"backend": "embedded"}}
        other = {"analysis": [f"{key}_embedded", 0], "recogniser": RECOGNISERS[inputs["backend"]]}
        prompt[key] = {"class_type": "LikenessTestAnalysis", "inputs": other, **meta}
    elif name.startswith("Empty") and "width" in inputs:
        inputs |= {"width": inputs["width"] // 4, "height": inputs["height"] // 4}
    elif name == "LikenessCropFaces" and inputs["size"] >= 1024:
        inputs["size"] //= 4
    elif name == "LikenessPrepareTalkingHead":
        inputs["size"] = 64
    elif name in ("KSampler", "BasicScheduler"):
        inputs["steps"] = 2
