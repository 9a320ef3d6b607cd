"""Sixteen float32 lanes as a numba type, which the kernels are written in.

LLVM maps the lanes to one AVX-512 register, two of AVX or four of NEON. Nothing is left to an
auto-vectorizer, so every sum has the same order everywhere. Source: https://numba.readthedocs.io/en/stable/extending/low-level.html
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 16

kernel = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compiles a function that only compiled functions call."""

_LANES_IR = ir.VectorType(ir.FloatType(), LANES)
_MASK_IR = ir.VectorType(ir.IntType(1), LANES)
_INDICES_IR = ir.VectorType(ir.IntType(32), LANES)


class _LanesType(types.Type):
    def __init__(self):
        super().__init__(name="Float32x16")


class _MaskType(types.Type):
    def __init__(self):
        super().__init__(name="Boolx16")


_lanes = _LanesType()
_mask = _MaskType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, front_end_type):
        super().__init__(manager, front_end_type, _LANES_IR)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, front_end_type):
        super().__init__(manager, front_end_type, _MASK_IR)


def _pointer(context, builder, array_type, array, index):
    """The address of 16 lanes from `index` on in a one-dimensional array; bounds are not checked."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [index]), _LANES_IR.as_pointer())


def _splat(builder, vector_type, value):
    single = builder.insert_element(
        ir.Constant(vector_type, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(_INDICES_IR, [0] * LANES)
    return builder.shuffle_vector(single, ir.Constant(vector_type, ir.Undefined), zeros)


def _first_lanes(builder, count):
    counts = _splat(builder, _INDICES_IR, builder.trunc(count, ir.IntType(32)))
    return builder.icmp_signed("<", ir.Constant(_INDICES_IR, list(range(LANES))), counts)


@intrinsic
def load(typing_context, array, index):
    """The lanes array[index : index + 16] of a float32 array."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=4)

    return _lanes(array, types.intp), generate


@intrinsic
def load_first(typing_context, array, index, count):
    """As `load`, but only the first `count` lanes are read; the others are 0."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_LANES_IR, [_LANES_IR.as_pointer(), ir.IntType(32), _MASK_IR, _LANES_IR]),
            "llvm.masked.load.v16f32.p0",
        )
        mask = _first_lanes(builder, arguments[2])
        zeros = ir.Constant(_LANES_IR, [0.0] * LANES)
        return builder.call(function, [pointer, ir.Constant(ir.IntType(32), 4), mask, zeros])

    return _lanes(array, types.intp, types.intp), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write the lanes to array[index : index + 16]."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, _lanes), generate


@intrinsic
def store_first(typing_context, array, index, value, count):
    """As `store`, but only the first `count` lanes are written."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [_LANES_IR, _LANES_IR.as_pointer(), ir.IntType(32), _MASK_IR]),
            "llvm.masked.store.v16f32.p0",
        )
        mask = _first_lanes(builder, arguments[3])
        builder.call(function, [arguments[2], pointer, ir.Constant(ir.IntType(32), 4), mask])
        return context.get_dummy_value()

    return types.none(array, types.intp, _lanes, types.intp), generate


@intrinsic
def spread(typing_context, value):
    """A float32 in every lane."""

    def generate(context, builder, signature, arguments):
        return _splat(builder, _LANES_IR, arguments[0])

    return _lanes(types.float32), generate


@intrinsic
def add_product(typing_context, a, b, c):
    """A * b + c, rounded once where the processor can."""

    def generate(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_LANES_IR, [_LANES_IR] * 3), "llvm.fmuladd.v16f32"
        )
        return builder.call(function, arguments)

    return _lanes(_lanes, _lanes, _lanes), generate


@intrinsic
def add(typing_context, a, b):
    """A + b."""

    def generate(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return _lanes(_lanes, _lanes), generate


@intrinsic
def total(typing_context, value):
    """The sum of all lanes, by halves."""

    def generate(context, builder, signature, arguments):
        (vector,) = arguments
        width = LANES
        while width > 1:
            width //= 2
            undefined = ir.Constant(vector.type, ir.Undefined)
            indices = ir.VectorType(ir.IntType(32), width)
            low = builder.shuffle_vector(vector, undefined, ir.Constant(indices, list(range(width))))
            high = builder.shuffle_vector(
                vector, undefined, ir.Constant(indices, list(range(width, 2 * width)))
            )
            vector = builder.fadd(low, high)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(_lanes), generate


@intrinsic
def greater_or_nan(typing_context, a, b):
    """Where a > b or a is not a number, as PyTorch's max-pooling compares."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        return builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))

    return _mask(_lanes, _lanes), generate


@intrinsic
def equal(typing_context, a, b):
    """Where a == b."""

    def generate(context, builder, signature, arguments):
        return builder.fcmp_ordered("==", *arguments)

    return _mask(_lanes, _lanes), generate


@intrinsic
def unequal(typing_context, a, b):
    """Where a != b, or one is not a number."""

    def generate(context, builder, signature, arguments):
        return builder.fcmp_unordered("!=", *arguments)

    return _mask(_lanes, _lanes), generate


@intrinsic
def choose(typing_context, mask, yes, no):
    """`yes` where the mask is set, `no` elsewhere."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return _lanes(_mask, _lanes, _lanes), generate


@intrinsic
def bits(typing_context, mask):
    """The mask as an integer: lane 0 is the lowest bit."""

    def generate(context, builder, signature, arguments):
        return builder.zext(builder.bitcast(arguments[0], ir.IntType(LANES)), ir.IntType(64))

    return types.int64(_mask), generate


@intrinsic
def lowest_bit(typing_context, value):
    """The position of the lowest bit that is set in an int64 that is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate
