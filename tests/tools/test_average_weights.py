"""The mean of the weights of several runs."""

import torch
from average_weights import average

from poseact import create_model


def test_every_weight_is_the_mean_of_those_of_all_networks():
    networks = [create_model("tiny", channels=16, low_channels=16) for _ in range(3)]
    states = [
        {name: value.clone() for name, value in network.state_dict().items()}
        for network in networks
    ]
    mean = average(networks)
    for name, value in mean.state_dict().items():
        wanted = torch.stack([state[name].float() for state in states]).mean(0)
        torch.testing.assert_close(value.float(), wanted)
    assert "mean of 3 runs" in mean.card.provenance["weights"]
