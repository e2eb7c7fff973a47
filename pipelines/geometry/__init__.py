"""Pure maths of faces: transforms between pictures and crops, crop templates, the canonical mesh, pose, warps."""
