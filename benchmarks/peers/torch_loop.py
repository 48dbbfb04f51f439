"""The same training in PyTorch, as its tutorials write it: one Python loop, eager."""

import json
import sys
import time

import numpy as np
import torch


def main() -> None:
    """Reads settings, then trains once for each line on standard input."""
    settings = json.loads(sys.stdin.readline())
    with np.load(settings["file"]) as f:
        stored = {k: torch.tensor(f[k]) for k in f.files}
    x, y, index = stored["x"], stored["y"].long(), stored["index"].long()
    fused = settings["fused"]

    def train() -> tuple[float, float]:
        layers = []
        for i in range(3):
            w, b = stored[f"w{i}"], stored[f"b{i}"]
            layer = torch.nn.Linear(w.shape[1], w.shape[0])
            layer.weight.data.copy_(w)
            layer.bias.data.copy_(b)
            layers += [layer, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimizer = torch.optim.Adam(model.parameters(), lr=settings["rate"], fused=fused)
        loss_of = torch.nn.CrossEntropyLoss()
        t = time.perf_counter()
        for rows in index:
            optimizer.zero_grad()
            loss = loss_of(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - t
        with torch.no_grad():
            return seconds, float(loss_of(model(x), y))

    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for _ in sys.stdin:
        seconds, loss = train()
        print(json.dumps({"seconds": seconds, "loss": loss}), flush=True)


main()
