"""A training run from its recipe to its weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact.layers.synced import sync_norms
from poseact.models.base import Network
from poseact.models.card import Card
from poseact.models.pyramid import SPNet
from poseact.recipe import Recipe, differences, load_stages
from poseact.training.callbacks import Averaging
from poseact.training.confidence import calibrate_confidence
from poseact.training.engine import run_steps
from poseact.training.initial_weights import first_network
from poseact.training.lightning_module import MultitaskTraining
from poseact.training.loaders import PoseData
from poseact.training.run_record import OnProgress, Record
from poseact.training.state import RunState, digest_of, read_state, weights_of
from poseact.weights.checkpoint import save

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class Machine:
    """Hardware settings of a run; results depend on them only by rounding and batch size."""

    devices: int | None = None
    """Number of processes on this machine, one per GPU, or on the CPU if there is no GPU; by
    default that of ``torchrun``, else one per GPU, else one."""
    nodes: int = 1
    """Number of machines, each started by ``torchrun`` or SLURM."""
    workers: int = 1
    """Loader processes per training process."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """``auto`` is bf16 on GPUs that support it, else 32 bit."""
    compile: bool | None = None
    """Compile the network; by default on GPUs only."""
    log_every: int = 50
    """Steps between two rows of the log."""
    sync_norm: bool = False
    """Synchronise batch normalisation over all processes; slower, but better for small batches."""

    def __post_init__(self) -> None:
        lowest = {"devices": 1, "nodes": 1, "workers": 0, "log_every": 1}
        for name, least in lowest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise PoseActError(f"{name}={value} was given; give {least} or more.")

    def trainer_options(self) -> dict[str, Any]:
        """Arguments of Lightning's trainer."""
        gpu = torch.cuda.is_available()
        precision = self.precision
        if precision == "auto":
            precision = "bf16" if gpu and torch.cuda.is_bf16_supported() else "32"
        launched = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
        devices = self.devices or launched or (torch.cuda.device_count() if gpu else 1)
        return {
            "accelerator": "gpu" if gpu else "cpu",
            "devices": devices,
            "num_nodes": self.nodes,
            # A batch without actions has no gradient for the action model.
            "strategy": "ddp_find_unused_parameters_true" if devices * self.nodes > 1 else "auto",
            "precision": {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision],
        }

    @property
    def compiles(self) -> bool:
        return torch.cuda.is_available() if self.compile is None else self.compile


@dataclass(frozen=True)
class TrainReport:
    """Results of a run and their files.

    Attributes:
        out: Its folder: ``last.ckpt``, ``log.csv``, ``curve.png``, ``tensorboard/``.
        weights: The weights, averaged if the recipe says so.
        steps: Steps done.
        finished: Whether all steps were done; if not, the run can be resumed.
        scores: Of the last validation, metrics by data set.
        unreadable: Number of pictures that were left out.
        primary: Whether this process writes the results.
    """

    out: Path
    weights: Path
    steps: int
    finished: bool
    scores: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    unreadable: int = 0
    primary: bool = True


def train(
    recipe: str | Path,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    machine: Machine | None = None,
    on_progress: OnProgress | None = None,
    on_stage: Callable[[Recipe], None] | None = None,
) -> list[TrainReport]:
    """Train all stages of a recipe, each from the weights of the previous one.

    Several stages have a folder each in ``out``; finished stages are not run again.

    Args:
        recipe: YAML file.
        out: Folder of the run.
        changes: See :func:`poseact.recipe.load_stages`.
        resume: Resume the interrupted stage.
        machine: See :func:`train_recipe`.
        on_progress: See :func:`train_recipe`.
        on_stage: Called with every stage before it begins.

    Returns:
        One report for each stage that was begun; the last one is not finished if the run was
        interrupted.

    Raises:
        PoseActError: As :func:`train_recipe`.
    """
    stages, out = load_stages(recipe, changes), Path(out)
    open_folder(out)
    reports: list[TrainReport] = []
    for number, stage in enumerate(stages):
        folder = out if len(stages) == 1 else out / stage.name
        if reports:
            first = stage.network.model_copy(update={"init": str(reports[-1].weights)})
            stage = stage.model_copy(update={"network": first})  # noqa: PLW2901
        if on_stage is not None:
            on_stage(stage)
        if resume and len(stages) > 1 and _is_finished(stage, folder):
            reports.append(TrainReport(folder, _weights(stage, folder), stage.steps, finished=True))
            continue
        reports.append(
            train_recipe(
                stage,
                folder,
                resume=resume and (number == 0 or (folder / CHECKPOINT).exists()),
                machine=machine,
                on_progress=on_progress,
            )
        )
        if not reports[-1].finished:
            break
    return reports


def train_recipe(
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = False,
    machine: Machine | None = None,
    on_progress: OnProgress | None = None,
) -> TrainReport:
    """Train a network on the data sets of a recipe.

    On SIGINT or SIGTERM the run ends after the current step and saves its state; resumed with
    ``resume``, it gives the same result as an uninterrupted run.

    Args:
        recipe: A recipe without stages.
        out: Folder of the run.
        resume: Resume from the last checkpoint in the folder.
        machine: Processes, precision and other hardware settings.
        on_progress: Called every ``machine.log_every`` steps.

    Raises:
        PoseActError: The recipe, its data or its first weights are wrong; the folder holds a run
            and ``resume`` is not given, or one of another recipe; the loss became infinite; a
            data worker died; the results cannot be written.
    """
    machine = machine or Machine()
    out = Path(out)
    begun = _begun(recipe, out, resume)
    module = MultitaskTraining(_network(recipe), recipe)
    data = PoseData(recipe, machine.workers)
    data.setup("fit")
    state = RunState(out / CHECKPOINT, _digest(recipe, data, module.network))
    _check_same(state, begun)
    if machine.sync_norm:
        sync_norms(module.network)
    if machine.compiles:
        module.network.compile()
    trainer = run_steps(
        module,
        data,
        recipe.steps,
        state=state,
        resume=resume,
        minutes=recipe.checkpoint_minutes,
        averaging=Averaging(recipe.optimiser.ema) if recipe.optimiser.ema else None,
        callbacks=[Record(out, machine.log_every, data, on_progress)],
        logger=_tensorboard(out, begun),
        default_root_dir=out,
        **_trainer_options(recipe, machine),
    )
    finished = trainer.global_step >= recipe.steps
    if trainer.is_global_zero:
        _save_weights(recipe, out, module, data, finished)
    # In the next stage every process reads these weights.
    trainer.strategy.barrier()
    return TrainReport(
        out,
        _weights(recipe, out),
        trainer.global_step,
        finished,
        {name: score.means() for name, score in module.scores.items()},
        data.tally.count,
        trainer.is_global_zero,
    )


def _tensorboard(out: Path, begun: Mapping[str, Any] | None) -> TensorBoardLogger:
    """The log, without what an interrupted run wrote after its last checkpoint."""
    purged = None if begun is None else begun["global_step"] + 1
    return TensorBoardLogger(out, name="", version="tensorboard", purge_step=purged)


def _trainer_options(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    """Arguments of Lightning's trainer."""
    return {
        "accumulate_grad_batches": recipe.accumulate,
        "gradient_clip_val": recipe.optimiser.clip_norm,
        "val_check_interval": recipe.validate_every * recipe.accumulate,
        "check_val_every_n_epoch": None,
        "limit_val_batches": None if recipe.validation else 0,
        "log_every_n_steps": machine.log_every,
        **machine.trainer_options(),
    }


def _save_weights(
    recipe: Recipe, out: Path, module: MultitaskTraining, data: PoseData, finished: bool
) -> None:
    """Write the weights with their scores; a finished run is scored at its last step."""
    steps = module.global_step
    if finished and recipe.data.calibration:
        people = [
            sample
            for spec in recipe.data.calibration.values()
            for sample in spec.read(recipe.skeleton)
        ]
        calibrate_confidence(module.network, people)
        module.scored_at = -1
    if finished and module.scored_at != steps:
        for scored in data.validation:
            module.score(scored)
    module.network.card = _card(recipe, module, steps)
    save(module.network, _weights(recipe, out))


def _weights(recipe: Recipe, out: Path) -> Path:
    return out / f"{recipe.name}.safetensors"


def _is_finished(recipe: Recipe, out: Path) -> bool:
    """Whether a run of the same recipe did all steps and wrote its weights."""
    if not (out / CHECKPOINT).exists() or not _weights(recipe, out).exists():
        return False
    begun = _begun(recipe, out, resume=True)
    return begun is not None and begun["global_step"] >= recipe.steps


def _begun(recipe: Recipe, out: Path, resume: bool) -> dict[str, Any] | None:
    """The state of the run to resume; None to begin a new one."""
    path = out / CHECKPOINT
    if not resume:
        if path.exists():
            raise PoseActError(
                f"{out} already holds a run; resume it with --resume, or give another --out."
            )
        return None
    if not path.exists():
        raise PoseActError(f"There is no {path} to resume from; leave out --resume to start.")
    state = read_state(path, "recipe", "global_step", "state_dict")
    if state is None:
        raise PoseActError(
            f"{path} is damaged or not a training checkpoint; start again in another folder."
        )
    changed = differences(state["recipe"], recipe.model_dump(mode="json"))
    if changed:
        raise PoseActError(
            f"The run in {out} was started with another recipe ({'; '.join(changed)}); undo the "
            "change, or give another --out."
        )
    return state


def _check_same(state: RunState, begun: Mapping[str, Any] | None) -> None:
    """Refuse to resume a run of other data or initial weights."""
    # Checkpoints of earlier versions have no digest.
    if begun is not None and begun.get("digest", state.digest) != state.digest:
        raise PoseActError(
            f"The run in {state.path.parent} was started with other data or initial weights; undo "
            "the change, or give another --out."
        )


def _digest(recipe: Recipe, data: PoseData, network: Network) -> str:
    """Digest of recipe, data and initial weights."""
    given = recipe.network.init or recipe.network.stem
    # Random weights follow from the seed, but their last bits may differ between machines.
    return digest_of(
        recipe.model_dump(mode="json"), data.contents(), weights_of(network) if given else ()
    )


def _network(recipe: Recipe) -> Network:
    L.seed_everything(recipe.seed, verbose=False)
    network = first_network(recipe.network)
    if isinstance(network, SPNet) and "action" in recipe.learn:
        network.copy_pose_maps()
    return network


def _card(recipe: Recipe, module: MultitaskTraining, steps: int) -> Card:
    scores = {name: score.to_json() for name, score in module.scores.items()}
    provenance = {
        "weights": f"poseact train, recipe {recipe.name}, step {steps} of {recipe.steps}"
        + (", moving average" if recipe.optimiser.ema else ""),
        "data": recipe.terms,
        "recipe": recipe.model_dump(mode="json"),
        "validation": scores,
    }
    return Card(recipe.network.preset, provenance=provenance, licence=recipe.licence)
