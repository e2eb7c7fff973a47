"""Names that the layout test knows: of ComfyUI's modules, of what may be imported anywhere, of what never is."""

from __future__ import annotations

import sys

COMFYUI = set("comfy comfy_api comfy_api_nodes comfy_extras comfy_execution execution folder_paths server".split())
MODULE_SCOPE = {"torch", "numpy", "safetensors"} | set(sys.stdlib_module_names)
CODE_IN_FILES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}
