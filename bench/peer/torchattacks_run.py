"""torchattacks' attacks for bench/attacks.ts, on one thread; the line protocol is that of protocol.py.

  {"command": "setup", "model", "parameters", "images", "labels", "count"}
  {"command": "attack", "name", "eps", "batch"}  -> {"ms", "cpuMs", "withstood": images still classified correctly}
"""
import json
import platform
import sys
import time

from protocol import missing

try:
    import torch
    import torchattacks
except ImportError as failure:
    missing("torchattacks", failure)

from pytorch_steps import MODELS, read_tensor


class Logits(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)[0]


ATTACKS = {
    "fgsm": lambda model, eps: torchattacks.FGSM(model, eps=eps),
    "pgd-20": lambda model, eps: torchattacks.PGD(model, eps=eps, alpha=eps / 4, steps=20),
    "apgd-20": lambda model, eps: torchattacks.APGD(model, eps=eps, steps=20),
    "apgd-t-20": lambda model, eps: torchattacks.APGDT(model, eps=eps, steps=20, n_classes=10),
    "square-500": lambda model, eps: torchattacks.Square(model, eps=eps, n_queries=500),
    "deepfool": lambda model, eps: torchattacks.DeepFool(model, steps=50, overshoot=0.02),
    "cw-50": lambda model, eps: torchattacks.CW(model, c=1, steps=50, lr=0.01),
}


class Session:
    def setup(self, request):
        count = request["count"]
        network = MODELS[request["model"]]()
        torch.nn.utils.vector_to_parameters(read_tensor(request["parameters"], "f", [-1]), network.parameters())
        self.model = Logits(network).eval()
        self.images = read_tensor(request["images"], "f", [count, 3, 32, 32])
        self.labels = read_tensor(request["labels"], "i", [count]).long()
        return {"correct": self.correct(self.images)}

    def correct(self, images):
        with torch.no_grad():
            return int((self.model(images).argmax(1) == self.labels).sum())

    def attack(self, request):
        attack = ATTACKS[request["name"]](self.model, request["eps"])
        torch.manual_seed(1)
        batch = request["batch"]
        begin, cpu_begin = time.perf_counter(), time.process_time()
        found = [
            attack(self.images[first : first + batch], self.labels[first : first + batch])
            for first in range(0, len(self.images), batch)
        ]
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu_begin
        return {"ms": wall * 1e3, "cpuMs": cpu * 1e3, "withstood": self.correct(torch.cat(found))}


def main():
    torch.set_num_threads(1)
    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        command = request["command"]
        if command == "quit":
            return
        try:
            if command == "hello":
                reply = {"torch": torch.__version__, "torchattacks": torchattacks.__version__, "python": platform.python_version()}
            elif command == "setup":
                reply = session.setup(request)
            elif command == "attack":
                reply = session.attack(request)
            else:
                raise ValueError(f"unknown command {command!r}")
        except Exception as failure:  # noqa: BLE001  any failure must reach the other side of the pipe
            reply = {"error": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
