import torch

import poseact
from poseact.training.muon import Muon, orthogonalised


def test_singular_values_come_near_one():
    for shape in ((8, 20), (20, 8), (12, 12)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_the_direction_of_the_matrix_stays():
    matrix = torch.randn(6, 10)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest = left @ right
    cosine = torch.cosine_similarity(orthogonalised(matrix).flatten(), nearest.flatten(), dim=0)
    assert cosine > 0.97


def small():
    torch.manual_seed(0)
    return poseact.create_model("tiny", channels=16, low_channels=16, image_size=32)


def step(network, optimiser, frames):
    optimiser.zero_grad()
    loss = network(frames).pose.joints.square().mean()
    loss.backward()
    optimiser.step()
    return loss.item()


def test_every_weight_moves_and_the_loss_falls():
    network = small()
    before = [p.clone() for p in network.parameters()]
    optimiser = Muon(network, lr=1e-3)
    frames = torch.rand(4, 1, 3, 32, 32)
    first, *_, last = (step(network, optimiser, frames) for _ in range(8))
    assert last < first
    used = [p.grad is not None for p in network.parameters()]
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert used == moved


def test_a_loaded_state_resumes_exactly():
    frames = torch.rand(4, 1, 3, 32, 32)
    whole, part = small(), small()
    whole_optimiser, part_optimiser = Muon(whole, lr=1e-3), Muon(part, lr=1e-3)
    for _ in range(2):
        step(whole, whole_optimiser, frames)
        step(part, part_optimiser, frames)
    resumed = Muon(part, lr=1e-3)
    resumed.load_state_dict(part_optimiser.state_dict())
    step(whole, whole_optimiser, frames)
    step(part, resumed, frames)
    for a, b in zip(whole.parameters(), part.parameters(), strict=True):
        assert torch.equal(a, b)
