// The Python door: addresses and sizes as integers (a call costs under a microsecond; arrays would cost twenty). The
// callers, src/fastspec/ops/*/_cpu.py, own the tensors and have checked them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "fastspec.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T> T* pointer(uintptr_t address) { return reinterpret_cast<T*>(address); }

void check(int status) {
  if (status == FASTSPEC_BAD_ARGUMENT) throw nb::value_error(fastspec_status_string(status));
  if (status == FASTSPEC_NO_MEMORY) throw std::bad_alloc();
  if (status != FASTSPEC_OK) throw std::runtime_error(fastspec_status_string(status));
}

template <class Call> void run(Call&& call) {
  int status;
  {
    nb::gil_scoped_release released;
    status = call();
  }
  check(status);
}

// Addresses of start, count, offset and weights; bands = 0 is no bank.
struct Bank {
  fastspec_bank bank;
  Bank(int64_t bands, uintptr_t start, uintptr_t count, uintptr_t offset, uintptr_t weights)
      : bank{bands, pointer<int32_t>(start), pointer<int32_t>(count), pointer<int32_t>(offset),
             pointer<void>(weights)} {}
};

// DLPack's DLManagedTensor, and behind it what it points to.
struct Array {
  void* data;
  int32_t device_type = 1, device_id = 0;  // the CPU
  int32_t dimensions;
  uint8_t code, bits;
  uint16_t lanes = 1;
  const int64_t *shape, *strides;
  uint64_t offset = 0;
  void* context = nullptr;
  void (*deleter)(Array*);
  std::vector<int64_t> sizes, steps;
  int64_t bytes;
};

// A capsule for torch.from_dlpack, its memory libfastspec's; None where there is none. Whoever drops the last tensor
// frees it, on any thread, without Python.
nb::object empty(const std::vector<int64_t>& shape, uint8_t code, int bytes) {
  std::unique_ptr<Array> array(
      new Array{.dimensions = int32_t(shape.size()), .code = code, .bits = uint8_t(8 * bytes)});
  array->sizes = array->steps = shape;
  array->bytes = bytes;
  for (size_t i = shape.size(); i-- > 0;) {
    array->steps[i] = array->bytes / bytes;
    if (__builtin_mul_overflow(array->bytes, shape[i], &array->bytes)) return nb::none();
  }
  array->shape = array->sizes.data();
  array->strides = array->steps.data();
  array->data = fastspec_allocate(array->bytes);
  if (!array->data) return nb::none();
  array->deleter = [](Array* self) {
    fastspec_free(self->data, self->bytes);
    delete self;
  };
  PyObject* const capsule = PyCapsule_New(array.get(), "dltensor", [](PyObject* self) {
    if (!PyCapsule_IsValid(self, "dltensor")) return;  // a tensor has it
    Array* const unused = static_cast<Array*>(PyCapsule_GetPointer(self, "dltensor"));
    unused->deleter(unused);
  });
  if (!capsule) {
    array->deleter(array.release());
    nb::raise_python_error();
  }
  array.release();
  return nb::steal(capsule);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Raw access to libfastspec; fastspec.ops is the interface.";

  nb::class_<fastspec_frames>(m, "Frames")
      .def(
          "__init__",
          [](fastspec_frames* self, int64_t n_fft, int64_t hop, int64_t win_length, int64_t pad, int pad_mode,
             bool onesided, double preemphasis, bool remove_dc) {
            new (self) fastspec_frames{
                0, 0, 0, n_fft, hop, win_length, pad, pad_mode, onesided, FASTSPEC_F32, 1, remove_dc, preemphasis};
          },
          "n_fft"_a, "hop"_a, "win_length"_a, "pad"_a, "pad_mode"_a, "onesided"_a, "preemphasis"_a = 0.0,
          "remove_dc"_a = false);
  nb::class_<fastspec_ending>(m, "Ending")
      .def("__init__",
           [](fastspec_ending* self, double power, double eps, int log, double multiplier, double floor, bool floor_add,
              double scale) { new (self) fastspec_ending{power, eps, multiplier, floor, scale, log, floor_add}; });
  nb::class_<Bank>(m, "Bank").def(nb::init<int64_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t>());

  // Everywhere: batch, samples, frames, dtype, threads complete a copy of Frames.
  const auto complete = [](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                           int threads) {
    fastspec_frames f = plan;
    f.batch = batch;
    f.samples = samples;
    f.frames = frames;
    f.dtype = dtype;
    f.threads = threads;
    return f;
  };

  m.def("frame_transform", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                               int threads, uintptr_t x, int64_t x_stride, int x_dtype, uintptr_t window, uintptr_t y) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    run([&] {
      return fastspec_frame_transform(&f, pointer<void>(x), x_stride, x_dtype, pointer<void>(window), pointer<void>(y));
    });
  });
  m.def("overlap_add", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                           int threads, uintptr_t y, uintptr_t window, uintptr_t x) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    run([&] { return fastspec_overlap_add(&f, pointer<void>(y), pointer<void>(window), pointer<void>(x)); });
  });
  m.def("inverse", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                       int threads, uintptr_t y, int64_t y_stride, uintptr_t window, uintptr_t gain, uintptr_t x) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    run([&] {
      return fastspec_inverse(&f, pointer<void>(y), y_stride, pointer<void>(window), pointer<void>(gain),
                              pointer<void>(x));
    });
  });
  m.def("restore_magnitude", [](int64_t count, int dtype, int threads, uintptr_t y, uintptr_t previous,
                                uintptr_t magnitude, double momentum) {
    run([&] {
      return fastspec_restore_magnitude(count, dtype, threads, pointer<void>(y), pointer<void>(previous),
                                        pointer<void>(magnitude), momentum);
    });
  });
  m.def("basis_grad", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                          int threads, uintptr_t x, int64_t x_stride, int x_dtype, uintptr_t y, uintptr_t grad_window) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    run([&] {
      return fastspec_basis_grad(&f, pointer<void>(x), x_stride, x_dtype, pointer<void>(y), pointer<void>(grad_window));
    });
  });
  m.def("spectral_power", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                              int threads, uintptr_t x, int64_t x_stride, int x_dtype, uintptr_t window,
                              const Bank& bank, const fastspec_ending& ending, uintptr_t out) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    run([&] {
      return fastspec_spectral_power(&f, pointer<void>(x), x_stride, x_dtype, pointer<void>(window), &bank.bank,
                                     &ending, pointer<void>(out));
    });
  });
  m.def("spectral_power_backward",
        [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype, int threads,
            uintptr_t grad, uintptr_t x, int64_t x_stride, int x_dtype, uintptr_t window, const Bank& bank,
            const fastspec_ending& ending, uintptr_t grad_x, uintptr_t grad_window) {
          const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
          run([&] {
            return fastspec_spectral_power_backward(&f, pointer<void>(grad), pointer<void>(x), x_stride, x_dtype,
                                                    pointer<void>(window), &bank.bank, &ending, pointer<void>(grad_x),
                                                    pointer<void>(grad_window));
          });
        });

  const auto rows_of = [](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                          int threads) {
    return fastspec_rows{rows,  taps,   pointer<int64_t>(start), pointer<int64_t>(stop), pointer<int64_t>(offset),
                         dtype, threads};
  };
  m.def(
      "rows_transform",
      [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype, int threads,
          uintptr_t x, int64_t x_stride, int x_dtype, int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop,
          uintptr_t offset, uintptr_t basis, uintptr_t y, const fastspec_ending* ending, uintptr_t out) {
        const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
        const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
        run([&] {
          return fastspec_rows_transform(&f, pointer<void>(x), x_stride, x_dtype, &r, pointer<void>(basis),
                                         pointer<void>(y), ending, pointer<void>(out));
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("rows_overlap_add", [=](const fastspec_frames& plan, int64_t batch, int64_t samples, int64_t frames, int dtype,
                                int threads, uintptr_t y, int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop,
                                uintptr_t offset, uintptr_t basis, uintptr_t x) {
    const fastspec_frames f = complete(plan, batch, samples, frames, dtype, threads);
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    run([&] { return fastspec_rows_overlap_add(&f, pointer<void>(y), &r, pointer<void>(basis), pointer<void>(x)); });
  });
  // A list of parts, each as integers: F, S, start, stop, offset, basis, halvings, phases, first, hop, low.
  using Part = std::array<int64_t, 11>;
  const auto octaves_of = [=](const std::vector<Part>& given, std::vector<fastspec_part>& parts, uintptr_t filter,
                              int64_t filter_length, int64_t clips, int64_t samples, int64_t frames, int64_t bins,
                              int64_t centre, int64_t reach, int pad_mode, int dtype, int threads) {
    for (const Part& p : given)
      parts.push_back({rows_of(p[0], p[1], uintptr_t(p[2]), uintptr_t(p[3]), uintptr_t(p[4]), dtype, threads),
                       pointer<void>(uintptr_t(p[5])), p[6], p[7], p[8], p[9], p[10]});
    return fastspec_octaves{clips,
                            samples,
                            frames,
                            bins,
                            centre,
                            reach,
                            filter_length,
                            int64_t(parts.size()),
                            pointer<void>(filter),
                            parts.data(),
                            pad_mode,
                            dtype,
                            threads};
  };
  m.def(
      "octaves_transform",
      [=](const std::vector<Part>& given, uintptr_t filter, int64_t filter_length, int64_t clips, int64_t samples,
          int64_t frames, int64_t bins, int64_t centre, int64_t reach, int pad_mode, int dtype, int threads,
          uintptr_t x, int64_t x_stride, uintptr_t y, const fastspec_ending* ending, uintptr_t out) {
        std::vector<fastspec_part> parts;
        const fastspec_octaves o = octaves_of(given, parts, filter, filter_length, clips, samples, frames, bins, centre,
                                              reach, pad_mode, dtype, threads);
        run([&] {
          return fastspec_octaves_transform(&o, pointer<void>(x), x_stride, pointer<void>(y), ending,
                                            pointer<void>(out));
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("octaves_adjoint", [=](const std::vector<Part>& given, uintptr_t filter, int64_t filter_length, int64_t clips,
                               int64_t samples, int64_t frames, int64_t bins, int64_t centre, int64_t reach,
                               int pad_mode, int dtype, int threads, uintptr_t y, uintptr_t x) {
    std::vector<fastspec_part> parts;
    const fastspec_octaves o = octaves_of(given, parts, filter, filter_length, clips, samples, frames, bins, centre,
                                          reach, pad_mode, dtype, threads);
    run([&] { return fastspec_octaves_adjoint(&o, pointer<void>(y), pointer<void>(x)); });
  });
  m.def("dense_size", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                          int threads, int64_t hop) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    return fastspec_dense_size(&r, hop);
  });
  m.def("dense_pack", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                          int threads, int64_t hop, uintptr_t basis, uintptr_t panels) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    run([&] { return fastspec_dense_pack(&r, hop, pointer<void>(basis), pointer<void>(panels)); });
  });
  m.def("dense_unpack", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                            int threads, int64_t hop, uintptr_t panels, uintptr_t basis) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    run([&] { return fastspec_dense_unpack(&r, hop, pointer<void>(panels), pointer<void>(basis)); });
  });
  m.def("dense_transform", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                               int threads, int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t x,
                               uintptr_t panels, uintptr_t z) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    const fastspec_tile t{clips, frames, hop, stride};
    run([&] { return fastspec_dense_transform(&r, &t, pointer<void>(x), pointer<void>(panels), pointer<void>(z)); });
  });
  m.def("dense_gradient", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                              int threads, int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t x,
                              uintptr_t z, uintptr_t panels) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    const fastspec_tile t{clips, frames, hop, stride};
    run([&] { return fastspec_dense_gradient(&r, &t, pointer<void>(x), pointer<void>(z), pointer<void>(panels)); });
  });
  m.def("dense_frames", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype,
                            int threads, int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t z,
                            uintptr_t basis, int64_t low, int64_t high, uintptr_t out) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    const fastspec_tile t{clips, frames, hop, stride};
    run([&] {
      return fastspec_dense_frames(&r, &t, pointer<void>(z), pointer<void>(basis), low, high, pointer<void>(out));
    });
  });
  m.def("dense_shared_size", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset,
                                 int dtype, int threads, int64_t hop) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    int64_t columns = 0;
    const int64_t size = fastspec_dense_shared_size(&r, hop, &columns);
    return nb::make_tuple(size, columns);
  });
  m.def("dense_shared_pack", [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset,
                                 int dtype, int threads, int64_t hop, uintptr_t basis, uintptr_t packed) {
    const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
    run([&] { return fastspec_dense_shared_pack(&r, hop, pointer<void>(basis), pointer<void>(packed)); });
  });
  m.def("dense_shared_adjoint",
        [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype, int threads,
            int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t z, uintptr_t packed, uintptr_t x) {
          const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
          const fastspec_tile t{clips, frames, hop, stride};
          run([&] {
            return fastspec_dense_shared_adjoint(&r, &t, pointer<void>(z), pointer<void>(packed), pointer<void>(x));
          });
        });
  const auto array_of = [](uintptr_t data, int64_t clip, int64_t row) {
    return fastspec_array{pointer<void>(data), clip, row};
  };
  m.def(
      "dense_store",
      [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype, int threads,
          int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t z, uintptr_t order, uintptr_t y,
          int64_t y_clip, int64_t y_row, const fastspec_ending* ending, uintptr_t out, int64_t out_clip,
          int64_t out_row) {
        const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
        const fastspec_tile t{clips, frames, hop, stride};
        const fastspec_array to = array_of(y, y_clip, y_row), results = array_of(out, out_clip, out_row);
        run([&] {
          return fastspec_dense_store(&r, &t, pointer<void>(z), pointer<int64_t>(order), &to, ending, &results);
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
      nb::arg());
  m.def(
      "dense_load",
      [=](int64_t rows, int64_t taps, uintptr_t start, uintptr_t stop, uintptr_t offset, int dtype, int threads,
          int64_t clips, int64_t frames, int64_t hop, int64_t stride, uintptr_t y, int64_t y_clip, int64_t y_row,
          const fastspec_ending* ending, uintptr_t grad, int64_t grad_clip, int64_t grad_row, uintptr_t order,
          uintptr_t z) {
        const fastspec_rows r = rows_of(rows, taps, start, stop, offset, dtype, threads);
        const fastspec_tile t{clips, frames, hop, stride};
        const fastspec_array from = array_of(y, y_clip, y_row), slopes = array_of(grad, grad_clip, grad_row);
        run([&] {
          return fastspec_dense_load(&r, &t, &from, ending, &slopes, pointer<int64_t>(order), pointer<void>(z));
        });
      },
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
      nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
      nb::arg());
  m.def("same_bytes", [](uintptr_t a, uintptr_t b, size_t size) {
    return std::memcmp(pointer<void>(a), pointer<void>(b), size) == 0;
  });
  m.def("empty", &empty);
  m.def("empty_cache", &fastspec_empty_cache);
  m.def("simd_level", [] { return std::string(fastspec_simd_level()); });
  m.def("set_simd_level", [](const std::string& name) { check(fastspec_set_simd_level(name.c_str())); });
  m.def("abi_version", &fastspec_abi_version);
}
