"""The wires of this pack; every other type on our nodes is ComfyUI's own."""

from __future__ import annotations

from comfy_api.latest import io

Adapter = io.Custom("LIKENESS_ADAPTER")
Analysis = io.Custom("LIKENESS_ANALYSIS")
Crops = io.Custom("LIKENESS_CROPS")
Faces = io.Custom("LIKENESS_FACES")
Identity = io.Custom("LIKENESS_IDENTITY")
Lips = io.Custom("LIKENESS_LIPS")
Occluder = io.Custom("LIKENESS_OCCLUDER")
Parser = io.Custom("LIKENESS_PARSER")
Renderer = io.Custom("LIKENESS_RENDERER")
Regions = io.Custom("LIKENESS_REGIONS")
Schedule = io.Custom("LIKENESS_SCHEDULE")
Motion = io.Custom("LIKENESS_MOTION")
Restorer = io.Custom("LIKENESS_RESTORER")
SpeechHead = io.Custom("LIKENESS_SPEECH_HEAD")
Swapper = io.Custom("LIKENESS_SWAPPER")
Talker = io.Custom("LIKENESS_TALKER")

#: Core's MediaPipe nodes emit this; it has no class in the public API.
FaceLandmarks = io.Custom("FACE_LANDMARKS")
