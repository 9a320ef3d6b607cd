"""The tutorial's `Net` and its SGD as compiled loops: many steps per call, on one core, without the GIL.

The arithmetic is that of `models.Net`, cross-entropy and `torch.optim.SGD` in float32; only the order of
summation differs. The backward pass skips what max pooling and ReLU block: it visits only the quarter of the
convolution outputs that won their window and are positive.

Layouts, per image unless stated otherwise; "lanes" are the 16 of `vectors`:

- `columns`: (3, 32, 2, 16), the image with its even columns before its odd ones, so that the four values of a
  pooling window are in the same lane of four vectors.
- `pixels`: (32, 32, 3), the image again, for contiguous patches.
- `pooled1`: (6, 14, 16), lanes are columns, of which 14 are used. `winners1`: which pixel won, as its offset
  in `pixels` from the first of its window.
- `maps1`: (14, 14, 6), the input of conv2.
- `pooled2` and `winners2`: (25, 16), lanes are output channels; winners by their number in the window.
- `hidden` and `logits`: (N, features) with N rounded up to 4; rows beyond the batch are undefined.

A `grad` is the gradient of the loss with respect to an activation, a `weight_grad` or `bias_grad` that with
respect to parameters. All arrays are flat. Loading lanes reads up to 15 floats past the end of the data, so
every buffer is longer by that much.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from cifar_tui.engine.steps.numba.convolutions import (
    arrange_weights2,
    biases_update,
    channels_last,
    convolution_update,
    convolve1,
    convolve1_backward,
    convolve2,
    convolve2_backward,
    unpack_image,
    windows_last,
)
from cifar_tui.engine.steps.numba.linear import ROWS, cross_entropy, dense, dense_backward, dense_update
from cifar_tui.engine.steps.numba.vectors import LANES, kernel

_ZERO = np.float32(0)


class Workspace(NamedTuple):
    """Buffers of the kernels: flat float32 arrays in the layouts above, for one image or a whole batch."""

    columns: Any
    pixels: Any
    pooled1: Any
    winners1: Any
    maps1: Any
    pooled2: Any
    winners2: Any
    hidden0: Any
    hidden1: Any
    hidden2: Any
    logits: Any
    grad0: Any
    grad1: Any
    grad2: Any
    grad3: Any
    routed2: Any
    grad_maps1: Any
    forward2: Any
    backward2: Any
    weight_grad1: Any
    weight_grad2: Any
    bias_grad: Any


def make_workspace(batch_size: int, classes: int) -> Workspace:
    """Buffers for batches of up to `batch_size` images of `classes` classes."""
    rows = -(-batch_size // ROWS) * ROWS
    sizes = {
        "columns": 3 * 32 * 32,
        "pixels": rows * 32 * 32 * 3,
        "pooled1": rows * 6 * 14 * LANES,
        "winners1": rows * 6 * 14 * LANES,
        "maps1": rows * 14 * 14 * 6,
        "pooled2": rows * 25 * LANES,
        "winners2": rows * 25 * LANES,
        "hidden0": rows * 400,
        "hidden1": rows * 120,
        "hidden2": rows * 84,
        "logits": rows * classes,
        "grad0": rows * 400,
        "grad1": rows * 120,
        "grad2": rows * 84,
        "grad3": rows * classes,
        "routed2": 100 * LANES,
        "grad_maps1": 14 * 14 * 6,
        "forward2": 150 * LANES,
        "backward2": 16 * 5 * 32,
        "weight_grad1": 6 * 5 * LANES,
        "weight_grad2": 16 * 5 * 32,
        "bias_grad": 32,
    }
    return Workspace(**{name: _aligned(size + 2 * LANES) for name, size in sizes.items()})


def _aligned(size: int) -> Any:
    """Zeros that start at a cache line."""
    memory = np.zeros(size + LANES, dtype=np.float32)
    first = -(memory.ctypes.data // 4) % LANES
    return memory[first : first + size]


@kernel
def _train_step(images, labels, batch, values, weights, buffers, space, classes, rate, momentum, decay):
    """Train one step on a batch; returns its mean loss and the number of correct images."""
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = weights
    v1, c1, v2, c2, v3, c3, v4, c4, v5, c5 = buffers
    count = len(batch)
    rows = (count + ROWS - 1) // ROWS * ROWS
    arrange_weights2(w2, space.forward2, space.backward2)
    for image in range(count):
        unpack_image(images, batch[image], values, space.columns, space.pixels, image * 3072)
        convolve1(space.columns, w1, b1, space.pooled1, space.winners1, image * 1344)
        channels_last(space.pooled1, image * 1344, space.maps1, image * 1176)
        convolve2(space.maps1, image * 1176, space.forward2, b2, space.pooled2, space.winners2, image * 400)
        windows_last(space.pooled2, space.hidden0, image * 400)
    dense(w3, b3, space.hidden0, space.hidden1, 400, 120, rows, True)
    dense(w4, b4, space.hidden1, space.hidden2, 120, 84, rows, True)
    dense(w5, b5, space.hidden2, space.logits, 84, classes, rows, False)
    loss, correct = cross_entropy(space.logits, space.grad3, classes, labels, batch)
    dense_backward(w5, space.grad3, space.hidden2, space.grad2, 84, classes, rows)
    dense_backward(w4, space.grad2, space.hidden1, space.grad1, 120, 84, rows)
    dense_backward(w3, space.grad1, space.hidden0, space.grad0, 400, 120, rows)
    dense_update(w5, b5, v5, c5, space.grad3, space.hidden2, 84, classes, count, rate, momentum, decay)
    dense_update(w4, b4, v4, c4, space.grad2, space.hidden1, 120, 84, count, rate, momentum, decay)
    dense_update(w3, b3, v3, c3, space.grad1, space.hidden0, 400, 120, count, rate, momentum, decay)
    for image in range(count):
        convolve2_backward(space, image)
        convolve1_backward(space, image)
    convolution_update(w2, v2, space.weight_grad2, 16, 6, 32, rate, momentum, decay)
    convolution_update(w1, v1, space.weight_grad1, 6, 3, 16, rate, momentum, decay)
    biases_update(b2, c2, space.bias_grad, 16, 16, rate, momentum, decay)
    biases_update(b1, c1, space.bias_grad, 0, 6, rate, momentum, decay)
    return loss, correct


def _compiled(fingerprint: int):
    """Compile the training loop with numba, which caches it on disk if it can write there.

    numba's cache only checks the time stamp of this file; `fingerprint` covers all of them.
    """

    def steps_over(
        images,
        labels,
        order,
        batch_size,
        values,
        weights,
        buffers,
        space,
        classes,
        rate,
        momentum,
        decay,
        losses,
    ):
        """Train on the images in `order`, the last batch may be smaller; return the number of correct ones.

        Args:
            images: uint8 (N, 3072).
            labels: int64 (N,).
            order: int64 (K,), indices of images.
            batch_size: images per step.
            values: float32 (256,), the normalized value of each byte.
            weights: the ten parameters of the model in order, float32 and flat; updated in place.
            buffers: momentum of each; 0 before the first step. Updated in place.
            space: from `make_workspace`.
            classes: logits per image.
            rate: the learning rate, float32.
            momentum: float32.
            decay: the weight decay, float32.
            losses: float32 (steps,), receives the mean loss of each step.
        """
        correct = fingerprint - fingerprint  # refers to it, so numba caches one function per value
        for step in range(len(losses)):
            first = step * batch_size
            batch = order[first : first + batch_size]
            losses[step], right = _train_step(
                images, labels, batch, values, weights, buffers, space, classes, rate, momentum, decay
            )
            correct += right
        return correct

    try:
        return njit(nogil=True, cache=True)(steps_over)
    except RuntimeError:  # no cache folder is writable
        return njit(nogil=True)(steps_over)


def _fingerprint() -> int:
    """A checksum of the sources in this folder."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return zlib.crc32(b"".join(source.read_bytes() for source in sources))


train_steps = _compiled(_fingerprint())
