"""Networks on the Hugging Face model hub, one checkpoint per repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download

from poseact.models.base import Network
from poseact.weights.checkpoint import load, save

CHECKPOINT_NAME = "model.safetensors"


class HubNetwork(ModelHubMixin):
    """A network that can be pushed to the model hub and loaded from there.

    ``HubNetwork(network).push_to_hub("user/name")`` uploads one ``model.safetensors`` whose header
    holds everything that :func:`poseact.load` needs;
    ``HubNetwork.from_pretrained("user/name").network`` is that network, ready for inference.

    Attributes:
        network: What is saved or was loaded.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        # The checkpoint's header holds the configuration; the hub only wants a file of this name.
        self._hub_mixin_config = {"library": "poseact", "weights": CHECKPOINT_NAME}

    def _save_pretrained(self, save_directory: Path) -> None:
        save(self.network, save_directory / CHECKPOINT_NAME)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_: Any,
    ) -> HubNetwork:
        local = Path(model_id) / CHECKPOINT_NAME
        if local.is_file():
            return cls(load(local))
        downloaded = hf_hub_download(
            model_id,
            CHECKPOINT_NAME,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        return cls(load(Path(downloaded)))
