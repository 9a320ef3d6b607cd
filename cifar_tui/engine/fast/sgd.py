"""Stochastic gradient descent as `torch.optim.SGD` makes it, on one number."""

from cifar_tui.engine.fast.vectors import kernel


@kernel
def update(weights, buffer, at, gradient, rate, momentum, decay):
    """SGD on one number."""
    velocity = momentum * buffer[at] + (gradient + decay * weights[at])
    buffer[at] = velocity
    weights[at] -= rate * velocity
