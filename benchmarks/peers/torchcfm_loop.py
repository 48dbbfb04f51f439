"""OT-CFM by torchcfm, as its examples write it: one Python loop, the coupling on the host."""

import itertools
import json
import sys
import time

import numpy as np
import torch
from torchcfm.conditional_flow_matching import ExactOptimalTransportConditionalFlowMatcher


def main() -> None:
    """Reads settings, then trains once for each line on standard input."""
    settings = json.loads(sys.stdin.readline())
    torch.set_num_threads(1)
    x = torch.tensor(np.load(settings["file"]))
    steps, batch, width = settings["steps"], settings["batch"], settings["width"]

    def train(seed: int) -> float:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (torchcfm draws from it)
        sizes = [3, width, width, width, 2]
        layers: list[torch.nn.Module] = []
        for i, o in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(i, o), torch.nn.SELU()]
        model = torch.nn.Sequential(*layers[:-1])
        adam = torch.optim.AdamW(
            model.parameters(), lr=settings["rate"], weight_decay=settings["weight_decay"]
        )
        matcher = ExactOptimalTransportConditionalFlowMatcher(sigma=settings["sigma"])
        spent = time.process_time()
        for _ in range(steps):
            adam.zero_grad()
            x1 = x[torch.randint(len(x), (batch,))]
            t, xt, ut = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
            loss = torch.mean((model(torch.cat([xt, t[:, None]], -1)) - ut) ** 2)
            loss.backward()
            adam.step()
        spent = time.process_time() - spent
        linear = [m for m in model if isinstance(m, torch.nn.Linear)]
        np.savez(
            settings["weights"],
            **{f"w{i}": m.weight.detach().numpy() for i, m in enumerate(linear)},
            **{f"b{i}": m.bias.detach().numpy() for i, m in enumerate(linear)},
        )
        return spent

    from importlib import metadata

    names = ("torch", "torchcfm", "POT")
    print(json.dumps({n: metadata.version(n) for n in names}), flush=True)
    for number, _ in enumerate(sys.stdin):
        print(json.dumps({"seconds": train(number)}), flush=True)


main()
