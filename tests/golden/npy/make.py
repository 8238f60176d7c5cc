"""Writes the .npy files of this folder: python make.py (NumPy 2.4.6 was used)."""

import os

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))

# Written by numpy.save; the Rust writer must produce the same bytes.
np.save("f32.npy", np.array([0.0, 1.5, -2.25, 3e38, 1e-45, np.inf], dtype="<f4"))
np.save("f64.npy", np.array([0.1, -1e300, 5e-324], dtype="<f8"))
np.save("i64.npy", np.array([0, 1, 5, 2**40, -7], dtype="<i8"))
np.save("u8.npy", np.array([0, 127, 255], dtype="|u1"))
np.save("bool.npy", np.array([True, False, True, True], dtype="|b1"))
np.save("f32_2d.npy", np.arange(6, dtype="<f4").reshape(2, 3) / 4)
np.save("i64_empty.npy", np.zeros(0, dtype="<i8"))
np.save("i64_long.npy", np.arange(1_000, dtype="<i8") * 3)
np.save("u8_wide.npy", np.zeros((1, 1234), dtype="|u1"))

# Only read.
np.save("f16.npy", np.array([0.5, -2.0, 65504.0], dtype="<f2"))
np.save("i32.npy", np.array([3, -4], dtype="<i4"))
np.save("u64.npy", np.array([3, 4], dtype="<u8"))
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, np.array([7, 8], dtype="<i8"), version=(2, 0))

# Refused.
np.save("refused_big_endian.npy", np.array([1.0], dtype=">f4"))
np.save("refused_fortran.npy", np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)))
np.save("refused_object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
np.save("refused_struct.npy", np.zeros(2, dtype=[("a", "<i4"), ("b", "<f4")]))
np.save("refused_scalar.npy", np.float32(3))
np.save("refused_3d.npy", np.zeros((2, 2, 2), dtype="<f4"))
np.save("refused_text.npy", np.array(["a", "bc"]))
np.save("refused_u64.npy", np.array([2**63], dtype="<u8"))
