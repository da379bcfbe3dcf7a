"""JAX's training steps for bench/run.ts: each step one function under jax.jit; see protocol.py. Runs on one processor."""
import os
import platform

# Before the import: XLA makes as many threads as there are processors that it may use.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

from protocol import missing, serve  # noqa: E402

try:
    import jax
    import jax.numpy as jnp
    import numpy as np
except ImportError as failure:
    missing("jax", failure)

CONVOLUTIONS = {"cnn3": ([16, 32, 32], {0, 1}), "vgg6": ([32, 32, 64, 64, 128, 128], {1, 3, 5})}
HIDDEN = {"cnn3": 64, "vgg6": 128}
# Channels last: XLA's convolutions on CPU are made for it.
LAYOUTS = ("NHWC", "HWIO", "NHWC")


def parameter_shapes(model):
    """[out, in, 3, 3] filters, [out, in] matrices and biases, in PyTorch's order."""
    channels, pool_after = CONVOLUTIONS[model]
    shapes, inputs = [], 3
    for outputs in channels:
        shapes += [(outputs, inputs, 3, 3), (outputs,)]
        inputs = outputs
    side = 32 // 2 ** len(pool_after)
    hidden = HIDDEN[model]
    return shapes + [(hidden, inputs * side * side), (hidden,), (10, hidden), (10,)]


def read(path, kind, shape):
    return np.fromfile(path, dtype="<f4" if kind == "f" else "<i4").reshape(shape)


def read_parameters(path, model):
    """Filters as [3, 3, in, out]; the rest as PyTorch has it."""
    flat, parameters, start = read(path, "f", [-1]), [], 0
    for shape in parameter_shapes(model):
        size = int(np.prod(shape))
        values = flat[start : start + size].reshape(shape)
        parameters.append(jnp.asarray(values.transpose(2, 3, 1, 0) if len(shape) == 4 else values))
        start += size
    return parameters


class Bench:
    def __init__(self, request):
        self.request = request
        self.task, self.model, batch = request["task"], request["model"], request["batch"]
        self.parameters = read_parameters(request["parameters"], self.model)
        self.velocity = [jnp.zeros_like(p) for p in self.parameters]
        self.images = jnp.asarray(read(request["images"], "f", [batch, 3, 32, 32]).transpose(0, 2, 3, 1))
        self.noise = jnp.asarray(read(request["noise"], "f", [batch, 3, 32, 32]).transpose(0, 2, 3, 1))
        self.labels = jnp.asarray(read(request["labels"], "i", [batch]))
        self.key = jax.random.key(0)
        self.infer = jax.jit(self.logits_and_loss)
        self.differentiate = jax.jit(jax.value_and_grad(self.loss))
        self.whole_step = jax.jit(self.next_state, donate_argnums=(0, 1))

    def parameter_count(self):
        return sum(p.size for p in self.parameters)

    def forward(self, parameters, images, offsets=None):
        """Logits [N,10] and the features of the first three convolutions, `offsets` added to them."""
        channels, pool_after = CONVOLUTIONS[self.model]
        x, features = images, []
        for index in range(len(channels)):
            weight, bias = parameters[2 * index : 2 * index + 2]
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=LAYOUTS) + bias)
            if index < 3:
                x = x if offsets is None else x + offsets[index]
                features.append(x)
            if index in pool_after:
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        weight1, bias1, weight2, bias2 = parameters[-4:]
        # PyTorch flattens channels first.
        flat = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return jax.nn.relu(flat @ weight1.T + bias1) @ weight2.T + bias2, features

    def cross_entropy(self, logits):
        """Of each sample."""
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), self.labels[:, None], axis=1)[:, 0]

    def logits_and_loss(self, parameters, images):
        logits = self.forward(parameters, images)[0]
        return logits, self.cross_entropy(logits).mean()

    def attacked(self, parameters, noise):
        eps, size = self.request["epsLinf"], self.request["stepSizeLinf"]
        low, high = jnp.maximum(self.images - eps, 0), jnp.minimum(self.images + eps, 1)
        by_image = jax.grad(lambda x: self.logits_and_loss(parameters, x)[1])
        adversarial = jnp.clip(self.images + noise * eps, 0, 1)
        # Unrolled: inside a loop of its own, XLA's convolutions on CPU take several times as long.
        for _ in range(self.request["attackSteps"]):
            adversarial = jnp.clip(adversarial + size * jnp.sign(by_image(adversarial)), low, high)
        return jax.lax.stop_gradient(adversarial)

    def loss(self, parameters, noise):
        if self.task == "pgd7":
            return self.logits_and_loss(parameters, self.attacked(jax.lax.stop_gradient(parameters), noise))[1]
        if self.task == "plain":
            return self.logits_and_loss(parameters, self.images)[1]

        def scalar(offsets):
            logits, features = self.forward(parameters, self.images, offsets)
            losses = self.cross_entropy(logits)
            return losses.sum(), (losses.mean(), features)

        shapes = jax.eval_shape(lambda: self.forward(parameters, self.images)[1])
        zeros = [jnp.zeros(s.shape, s.dtype) for s in shapes]
        gradients, (loss, features) = jax.grad(scalar, has_aux=True)(zeros)
        for weight, h, g in zip(self.request["gfaWeights"], features, gradients):
            h, g = h.reshape(len(h), -1), g.reshape(len(g), -1)
            cosine = (h * g).sum(1) / (jnp.linalg.norm(h, axis=1) * jnp.linalg.norm(g, axis=1) + 1e-12)
            loss = loss + weight * (1 - cosine * cosine).mean()
        return loss

    def next_state(self, parameters, velocity, key):
        key, own = jax.random.split(key)
        noise = jax.random.uniform(own, self.images.shape, minval=-1, maxval=1)
        loss, gradients = jax.value_and_grad(self.loss)(parameters, noise)
        velocity = [self.request["momentum"] * v + g for v, g in zip(velocity, gradients)]
        return [p - self.request["learningRate"] * v for p, v in zip(parameters, velocity)], velocity, key, loss

    def check(self):
        if self.task == "inference":
            logits, loss = self.infer(self.parameters, self.images)
            return {"loss": float(loss), "gradientNorm": float(jnp.linalg.norm(logits))}
        loss, gradients = self.differentiate(self.parameters, self.noise)
        return {"loss": float(loss), "gradientNorm": float(jnp.sqrt(sum((g * g).sum() for g in gradients)))}

    def step(self):
        if self.task == "inference":
            jax.block_until_ready(self.infer(self.parameters, self.images))
            return
        state = self.whole_step(self.parameters, self.velocity, self.key)
        self.parameters, self.velocity, self.key, _ = jax.block_until_ready(state)


serve({"jax": jax.__version__, "python": platform.python_version(), "devices": [str(d) for d in jax.devices()]}, Bench)
