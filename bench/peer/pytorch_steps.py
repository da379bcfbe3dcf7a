"""The PyTorch side of bench/run.ts: whole training steps, one at a time, on request.

One process serves one (model, task). It reads one JSON object per line on stdin and answers with one JSON object
per line on stdout:

  {"command": "hello"}                       -> {"torch", "python", "threads", "onednn"}
  {"command": "setup", "model", "task", "batch", "parameters"?, "images"?, "labels"?, "noise"?, "device"?, ...}
                                             -> {"parameters": count}
  {"command": "check"}                       -> {"loss", "gradientNorm"}: of the given batch, parameters untouched
  {"command": "step"}                        -> {"ms", "cpuMs"}: wall and processor time of one whole step, parameters updated
  {"command": "memory"}                      -> {"peakMiB"}: highest resident memory of this process
  {"command": "quit"}

Errors are answered with {"error": text}. Tensors come as files of raw little-endian float32 (labels: int32) values;
parameters in PyTorch's own order and layouts, images as [N,3,32,32] in [0,1], noise as [N,3,32,32] in [-1,1].

A step is what a user would write: zero the gradients, forward, loss, backward, optimiser step.
  plain  softmax cross-entropy, mean over the batch
  gfa    plus sum over conv1..conv3 of weight * mean(1 - c^2), c = cosine of a sample's feature (after ReLU, before
         pooling) and the gradient of its own loss by that feature; differentiated twice
  inference  logits and loss without gradients; `check` gives the norm of the logits as gradientNorm
  pgd7   cross-entropy on examples from 7 L-infinity PGD steps with a random start (Madry et al. 2018)
"""
import json
import platform
import resource
import sys
import time

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as failure:
    print(json.dumps({"error": "no-torch", "detail": str(failure)}), flush=True)
    sys.exit(3)


class ConvNet(nn.Module):
    """3x3 convolutions with padding 1, bias and ReLU; 2x2 max-pooling after those listed; one hidden layer."""

    def __init__(self, channels, pool_after, hidden):
        super().__init__()
        # Created one by one, so that parameters() yields weight, bias, weight, bias, ... in the order of the layers.
        self.convolutions = nn.ModuleList([nn.Conv2d(i, o, 3, padding=1) for i, o in zip(channels, channels[1:])])
        self.pool_after = pool_after
        side = 32 // 2 ** len(pool_after)
        self.fc1 = nn.Linear(channels[-1] * side * side, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, x):
        """Returns logits [N,10] and the features of the first three convolutions."""
        features = []
        for index, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x))
            if index < 3:
                features.append(x)
            if index in self.pool_after:
                x = F.max_pool2d(x, 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1)))), features


MODELS = {
    "cnn3": lambda: ConvNet([3, 16, 32, 32], {0, 1}, 64),
    "vgg6": lambda: ConvNet([3, 32, 32, 64, 64, 128, 128], {1, 3, 5}, 128),
}


class Bench:
    def __init__(self, request):
        self.task = request["task"]
        self.gfa_weights = request["gfaWeights"]
        self.eps = request["epsLinf"]
        self.step_size = request["stepSizeLinf"]
        self.attack_steps = request["attackSteps"]
        batch = request["batch"]
        torch.manual_seed(0)
        device = request.get("device", "cpu")
        self.model = MODELS[request["model"]]()
        if request.get("parameters"):
            flat = read_tensor(request["parameters"], "f", [-1])
            torch.nn.utils.vector_to_parameters(flat, self.model.parameters())
        self.images = read_tensor(request["images"], "f", [batch, 3, 32, 32]) if request.get("images") else torch.rand(batch, 3, 32, 32)
        self.labels = read_tensor(request["labels"], "i", [batch]).long() if request.get("labels") else torch.randint(0, 10, (batch,))
        self.noise = read_tensor(request["noise"], "f", [batch, 3, 32, 32]) if request.get("noise") else None
        self.model.to(device)
        self.images, self.labels = self.images.to(device), self.labels.to(device)
        self.noise = self.noise if self.noise is None else self.noise.to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=request["learningRate"], momentum=request["momentum"])

    def parameter_count(self):
        return sum(p.numel() for p in self.model.parameters())

    def attacked(self, noise):
        """PGD examples; `noise` in [-1,1], drawn here when None."""
        start = torch.empty_like(self.images).uniform_(-self.eps, self.eps) if noise is None else noise * self.eps
        adversarial = (self.images + start).clamp(0, 1)
        low, high = self.images - self.eps, self.images + self.eps
        for _ in range(self.attack_steps):
            adversarial = adversarial.detach().requires_grad_(True)
            loss = F.cross_entropy(self.model(adversarial)[0], self.labels)
            (gradient,) = torch.autograd.grad(loss, adversarial)
            moved = adversarial.detach() + self.step_size * gradient.sign()
            adversarial = torch.min(torch.max(moved, low), high).clamp(0, 1)
        return adversarial.detach()

    def loss(self, noise=None):
        images = self.attacked(noise) if self.task == "pgd7" else self.images
        logits, features = self.model(images)
        loss = F.cross_entropy(logits, self.labels)
        if self.task == "gfa":
            # The gradient of the summed loss by a feature holds each sample's own gradient.
            gradients = torch.autograd.grad(loss * len(images), features, create_graph=True)
            for weight, feature, gradient in zip(self.gfa_weights, features, gradients):
                feature, gradient = feature.flatten(1), gradient.flatten(1)
                cosine = (feature * gradient).sum(1) / (feature.norm(dim=1) * gradient.norm(dim=1) + 1e-12)
                loss = loss + weight * (1 - cosine * cosine).mean()
        return loss

    @torch.no_grad()
    def infer(self):
        logits = self.model(self.images)[0]
        return logits, F.cross_entropy(logits, self.labels)

    def check(self):
        if self.task == "inference":
            logits, loss = self.infer()
            return {"loss": loss.item(), "gradientNorm": logits.norm().item()}
        loss = self.loss(self.noise)
        gradients = torch.autograd.grad(loss, list(self.model.parameters()))
        return {"loss": loss.item(), "gradientNorm": torch.cat([g.flatten() for g in gradients]).norm().item()}

    def step(self):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        if self.task == "inference":
            loss = self.infer()[1]
        else:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss()
            loss.backward()
            self.optimizer.step()
        # Waits for a GPU as well.
        loss.item()
        if loss.is_cuda:
            torch.cuda.synchronize()
        return {"ms": (time.perf_counter() - begin) * 1e3, "cpuMs": (time.process_time() - cpu_begin) * 1e3}


def read_tensor(path, kind, shape):
    """Raw little-endian values of a file; kind `f` = float32, `i` = int32."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    return torch.frombuffer(content, dtype=torch.float32 if kind == "f" else torch.int32).reshape(shape).clone()


def peak_mib():
    """Highest resident memory in MiB. Linux's ru_maxrss also counts the process that forked this one, VmHWM doesn't."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def answer(request, state):
    command = request["command"]
    if command == "hello":
        return {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
            "onednn": torch.backends.mkldnn.is_available(),
        }
    if command == "setup":
        state["bench"] = Bench(request)
        return {"parameters": state["bench"].parameter_count()}
    if command == "check":
        return state["bench"].check()
    if command == "step":
        return state["bench"].step()
    if command == "memory":
        return {"peakMiB": peak_mib()}
    raise ValueError(f"unknown command {command!r}")


def main():
    torch.set_num_threads(1)
    state = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "quit":
            return
        try:
            reply = answer(request, state)
        except Exception as failure:  # noqa: BLE001  any failure must reach the other side of the pipe
            reply = {"error": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(reply), flush=True)


main()
