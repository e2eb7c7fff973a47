"""insightface's model classes on sessions of our registry: counted, dropped and rebuilt by the memory manager."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..errors import MissingPackageError, MissingWeightsError, WrongWeightsError
from ..registry import Registry

#: The first version that is pure Python, and the one whose classes these are.
MIN_VERSION = (2, 1)


class RegistrySession:
    """What looks like an onnxruntime session to insightface, and asks the registry for the real one at every call.

    weights_id: of the manifest. The file is located and verified now, and opened at the first use. Raises
    MissingWeightsError, WrongWeightsError.
    """

    def __init__(self, registry: Registry, weights_id: str) -> None:
        self._runtime = registry.runtime
        self._handle = registry.load_session(weights_id)
        path = registry.find(weights_id)
        if path is None:
            raise MissingWeightsError(f"The file of {weights_id} was removed while it was loaded.")
        self.path = path

    def _session(self, activation_bytes: int = 0) -> Any:
        self._runtime.ready(self._handle, activation_bytes)
        return self._handle.module

    def get_inputs(self) -> Any:
        return self._session().get_inputs()

    def get_outputs(self) -> Any:
        return self._session().get_outputs()

    def get_providers(self) -> Any:
        return self._session().get_providers()

    def get_provider_options(self) -> Any:
        return self._session().get_provider_options()

    def run(self, output_names: Any, inputs: dict[str, Any], run_options: Any = None) -> Any:
        """`InferenceSession.run`, after the memory manager has brought the session back."""
        # the networks keep about forty times their input alive between layers
        activation_bytes = 40 * sum(int(value.nbytes) for value in inputs.values())
        return self._session(activation_bytes).run(output_names, inputs, run_options)

    def expect(self, input_shape: tuple[int | None, ...], outputs: int, width: int | None = None) -> None:
        """Raise WrongWeightsError unless the network has this interface.

        input_shape: of its only input, None where any size will do. outputs: how many there are. width: last side of
        the first one.
        """
        inputs, made = self.get_inputs(), self.get_outputs()
        shape: list[Any] = list(inputs[0].shape)
        fits = len(shape) == len(input_shape) and all(
            want is None or not isinstance(got, int) or got == want
            for got, want in zip(shape, input_shape, strict=True)
        )
        last = made[0].shape[-1]
        if len(inputs) != 1 or not fits or len(made) != outputs or width not in (None, last):
            raise WrongWeightsError(
                f"{self.path} takes {len(inputs)} input(s), the first of shape {shape}, and gives {len(made)} "
                f"output(s), the first {last} wide; 1 input {list(input_shape)}, {outputs} output(s) and width "
                f"{width or 'any'} are needed. It is another model under that name: fetch it anew."
            )


def insightface_class(module: str, name: str) -> Any:
    """A class of the package insightface, imported now.

    Raises MissingPackageError when the package is missing, too old, or lacks something of its own.
    """
    way_out = '`pip install "insightface>=2.1"` (pure Python, no compiler needed), then restart'
    found = ""
    try:
        found = version("insightface")
        if tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) < MIN_VERSION:
            raise MissingPackageError(f"insightface {found} is installed, 2.1 or newer is needed: {way_out}.")
        return getattr(import_module(f"insightface.{module}"), name)
    except PackageNotFoundError as error:
        raise MissingPackageError(f"This face analysis needs the package insightface: {way_out}.") from error
    except ImportError as error:
        raise MissingPackageError(
            f"insightface {found} cannot be imported ({error}): {way_out}. Where libGL is what it lacks, on a machine "
            "without a screen, replace opencv-python by opencv-python-headless."
        ) from error
