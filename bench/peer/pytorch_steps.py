"""PyTorch's training steps for bench/run.ts; see protocol.py.

Variants: `eager` (the default), `channels-last` (eager, activations and filters in that memory format), `compile`
(torch.compile of the network; for gfa, whose second differentiation torch.compile of the network can't do, torch.compile
of the whole gradient written with torch.func).
"""
import platform

from protocol import missing, serve

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as failure:
    missing("torch", failure)


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

    def forward(self, x, offsets=None):
        """Returns logits [N,10] and the features of the first three convolutions, `offsets` added to them."""
        features = []
        for index, convolution in enumerate(self.convolutions):
            x = F.relu(convolution(x))
            if index < 3:
                x = x if offsets is None else x + offsets[index]
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
        self.variant = request.get("variant", "eager")
        if self.variant == "channels-last":
            self.model.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)
        self.gradients_at_once = None
        if self.variant == "compile":
            if self.task == "gfa":
                self.gradients_at_once = torch.compile(torch.func.grad_and_value(self.functional_gfa_loss))
            else:
                self.model = torch.compile(self.model)
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
            loss = loss + self.alignment_terms(features, gradients)
        return loss

    def alignment_terms(self, features, gradients):
        total = 0
        for weight, feature, gradient in zip(self.gfa_weights, features, gradients):
            feature, gradient = feature.flatten(1), gradient.flatten(1)
            cosine = (feature * gradient).sum(1) / (feature.norm(dim=1) * gradient.norm(dim=1) + 1e-12)
            total = total + weight * (1 - cosine * cosine).mean()
        return total

    def functional_gfa_loss(self, parameters, images, labels):
        """The loss of `gfa` in transformations of functions, which torch.compile can follow."""
        offsets = [images.new_zeros(len(images), *shape) for shape in self.feature_shapes()]

        def scalar(offsets):
            logits, features = torch.func.functional_call(self.model, parameters, (images, offsets))
            return F.cross_entropy(logits, labels, reduction="sum"), (logits, features)

        gradients, (logits, features) = torch.func.grad(scalar, has_aux=True)(offsets)
        return F.cross_entropy(logits, labels) + self.alignment_terms(features, gradients)

    def feature_shapes(self):
        side, shapes = 32, []
        for index, convolution in enumerate(self.model.convolutions[:3]):
            shapes.append((convolution.out_channels, side, side))
            side = side // 2 if index in self.model.pool_after else side
        return shapes

    @torch.no_grad()
    def infer(self):
        logits = self.model(self.images)[0]
        return logits, F.cross_entropy(logits, self.labels)

    def check(self):
        if self.task == "inference":
            logits, loss = self.infer()
            return {"loss": loss.item(), "gradientNorm": logits.norm().item()}
        if self.gradients_at_once:
            by_name, loss = self.gradients_at_once(dict(self.model.named_parameters()), self.images, self.labels)
            gradients = by_name.values()
        else:
            loss = self.loss(self.noise)
            gradients = torch.autograd.grad(loss, list(self.model.parameters()))
        return {"loss": loss.item(), "gradientNorm": torch.cat([g.flatten() for g in gradients]).norm().item()}

    def step(self):
        if self.task == "inference":
            loss = self.infer()[1]
        elif self.gradients_at_once:
            parameters = dict(self.model.named_parameters())
            gradients, loss = self.gradients_at_once(parameters, self.images, self.labels)
            for name, parameter in parameters.items():
                parameter.grad = gradients[name]
            self.optimizer.step()
        else:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss()
            loss.backward()
            self.optimizer.step()
        # Waits for a GPU as well.
        loss.item()
        if loss.is_cuda:
            torch.cuda.synchronize()


def read_tensor(path, kind, shape):
    """Raw little-endian values of a file; kind `f` = float32, `i` = int32."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    return torch.frombuffer(content, dtype=torch.float32 if kind == "f" else torch.int32).reshape(shape).clone()


def main():
    torch.set_num_threads(1)
    serve(
        {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
            "onednn": torch.backends.mkldnn.is_available(),
        },
        Bench,
    )


if __name__ == "__main__":
    main()
