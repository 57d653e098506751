"""A training run from its recipe to its weights."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder, unwritable
from poseact.data.sources import expand_variables
from poseact.layers.synced import sync_norms
from poseact.models.base import Card, Network
from poseact.models.presets import create_model
from poseact.models.pyramid import SPNet
from poseact.recipe import Recipe, differences, load_stages
from poseact.training.callbacks import (
    Averaging,
    CheckpointFile,
    Checkpoints,
    OnProgress,
    Record,
    StopOnSignal,
)
from poseact.training.confidence import calibrate_confidence
from poseact.training.initial_weights import begin_with
from poseact.training.lightning_module import MultitaskTraining
from poseact.training.loaders import PoseData
from poseact.training.state import read_state
from poseact.weights.checkpoint import load, save
from poseact.weights.movenet import begin_with_stem

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class Machine:
    """Where a run happens; none of it changes what is learned but for rounding and batch size."""

    devices: int | None = None
    """Processes on this machine, one per GPU or, without GPUs, several on the CPU; None for what
    ``torchrun`` says, else all GPUs or one process."""
    nodes: int = 1
    """Machines, each started by ``torchrun`` or SLURM."""
    workers: int = 1
    """Processes per training process that prepare batches."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """``auto`` is bf16 on GPUs that have it, else 32 bit."""
    compile: bool | None = None
    """Compile the network; by default on GPUs, where it gains."""
    log_every: int = 50
    """Steps between two rows of the log."""
    sync_norm: bool = False
    """Take the statistics of batch normalisation over the batches of all processes, which costs
    time and pays where the batch of one is small."""

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
        """Whether the network is compiled."""
        return torch.cuda.is_available() if self.compile is None else self.compile


@dataclass(frozen=True)
class TrainReport:
    """Where the results of a run lie.

    Attributes:
        out: Its folder: ``last.ckpt``, ``log.csv``, ``curve.png``, ``tensorboard/``.
        weights: The weights, averaged where the recipe says so.
        steps: Steps done.
        finished: Whether these were all; else it can be resumed.
        scores: Of the last validation, metrics by data set.
        unreadable: Pictures that were left out.
        primary: Whether this is the process, of several, that writes the results.
    """

    out: Path
    weights: Path
    steps: int
    finished: bool
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
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
    """Train all stages of a recipe, each from the weights of the one before.

    Several stages lie in folders of their names in ``out``; those that are finished are not run
    again.

    Args:
        recipe: YAML file.
        out: Folder of the run.
        changes: See :func:`poseact.recipe.load_stages`.
        resume: Go on with the stage that was interrupted.
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

    On SIGINT or SIGTERM the run ends after the step in hand and keeps its state, from which
    ``resume`` goes on as if nothing had happened.

    Args:
        recipe: Without stages.
        out: Folder of the run.
        resume: Go on from the folder's last checkpoint.
        machine: Processes, precision and the like.
        on_progress: Called every ``machine.log_every`` steps.

    Raises:
        PoseActError: The recipe, its data or its first weights are wrong; the folder holds a run
            and ``resume`` is not given, or one of another recipe; the loss became infinite; a
            data worker died; the results cannot be written.
    """
    # Lightning tells of itself what the report and the progress already say.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    machine = machine or Machine()
    out = Path(out)
    checkpoint, first_step = _checkpoint(recipe, out, resume)
    module = MultitaskTraining(_network(recipe), recipe)
    data = PoseData(recipe, machine.workers)
    data.setup("fit")
    averaging = Averaging(recipe.optimiser.ema) if recipe.optimiser.ema else None
    record = Record(out, machine.log_every, data, on_progress)
    trainer = _trainer(recipe, out, machine, [averaging] if averaging else [], record, first_step)
    if machine.sync_norm:
        sync_norms(module.network)
    if machine.compiles:
        module.network.compile()
    _fit(trainer, module, data, checkpoint)
    if averaging:
        averaging.put_into(module)
    steps = trainer.global_step
    finished = steps >= recipe.steps
    weights = _weights(recipe, Path(out))
    if trainer.is_global_zero:
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
        save(module.network, weights)
    # The next stage begins with these weights in every process.
    trainer.strategy.barrier()
    scores = {name: score.means() for name, score in module.scores.items()}
    return TrainReport(
        out, weights, steps, finished, scores, data.tally.count, trainer.is_global_zero
    )


def _fit(
    trainer: L.Trainer, module: MultitaskTraining, data: PoseData, checkpoint: Path | None
) -> None:
    """Run the trainer; what a loader process says becomes this process's own error."""
    try:
        with warnings.catch_warnings():
            # Where actions alone are learned, the rest is meant to be.
            warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
            trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except PoseActError as error:
        # Torch wraps the traceback of the loader's process around the sentence.
        _, wrapped, sentence = str(error).rpartition("PoseActError: ")
        raise PoseActError(sentence.strip()) from error if wrapped else None
    except OSError as error:
        # TensorBoard's, when the trainer puts it away.
        raise unwritable(Path(trainer.default_root_dir), error) from error
    except SystemExit as error:
        # A second signal, which Lightning turns into an exit of its own.
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise PoseActError(
            f"A process that prepares batches died ({str(error).splitlines()[0]}); it may have run "
            f"out of memory. The run is kept in {trainer.default_root_dir}: give fewer workers, "
            "and resume it."
        ) from error


def _weights(recipe: Recipe, out: Path) -> Path:
    return out / f"{recipe.name}.safetensors"


def _is_finished(recipe: Recipe, out: Path) -> bool:
    """Whether a run of the same recipe made all its steps and wrote its weights."""
    if not (out / CHECKPOINT).exists() or not _weights(recipe, out).exists():
        return False
    _, done = _checkpoint(recipe, out, resume=True)
    return done is not None and done > recipe.steps


def _checkpoint(recipe: Recipe, out: Path, resume: bool) -> tuple[Path | None, int | None]:
    """The checkpoint to go on from, and the first step that is done and logged again."""
    path = out / CHECKPOINT
    if not resume:
        if path.exists():
            raise PoseActError(
                f"{out} already holds a run; resume it with --resume, or give another --out."
            )
        return None, None
    if not path.exists():
        raise PoseActError(f"There is no {path} to resume from; leave --resume out to begin.")
    state = read_state(path, "recipe", "global_step", "state_dict", mmap=True)
    if state is None:
        raise PoseActError(
            f"{path} is damaged or no checkpoint of a training; begin anew in another folder."
        )
    begun, step = state["recipe"], state["global_step"]
    changed = differences(begun, recipe.model_dump(mode="json"))
    if changed:
        raise PoseActError(
            f"The run in {out} was begun with another recipe ({'; '.join(changed)}); undo the "
            "change, or give another --out."
        )
    return path, step + 1


def _network(recipe: Recipe) -> Network:
    L.seed_everything(recipe.seed, verbose=False)
    network = create_model(recipe.network.preset, **recipe.network.changes)
    if recipe.network.stem is not None:
        begin_with_stem(network, expand_variables(recipe.network.stem))
    if recipe.network.init is not None:
        begin_with(network, load(recipe.network.init), recipe.network.init)
    if isinstance(network, SPNet) and "action" in recipe.learn:
        network.copy_pose_maps()
    return network


def _trainer(
    recipe: Recipe,
    out: Path,
    machine: Machine,
    averaging: list[Averaging],
    record: Record,
    first_step: int | None,
) -> L.Trainer:
    file = CheckpointFile()
    return L.Trainer(
        **machine.trainer_options(),
        default_root_dir=out,
        max_steps=recipe.steps,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.optimiser.clip_norm,
        val_check_interval=recipe.validate_every * recipe.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        limit_val_batches=None if recipe.validation else 0,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(out, name="", version="tensorboard", purge_step=first_step),
        plugins=[file],
        # A checkpoint holds the step that was just recorded, averaged and asked to be the last.
        callbacks=[
            *averaging,
            record,
            StopOnSignal(),
            Checkpoints(out / CHECKPOINT, recipe.checkpoint_minutes, file),
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=machine.log_every,
    )


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
