// Python bindings of the kernel: arrays in, arrays filled. Shapes are checked here, since a wrong
// one would write to foreign memory; everything else is checked by the Python callers.

#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "binding_arrays.hpp"
#include "instruction_sets.hpp"
#include "trainer.hpp"

using namespace quinr;

namespace {

const InstructionSet& find(const std::string& name) {
    for (const InstructionSet* set : instruction_sets())
        if (name == set->name) return *set;
    throw nb::value_error(("instruction set: this machine has no " + name).c_str());
}

template <class T> const Kernels<T>& kernels(const std::string& name) {
    if constexpr (sizeof(T) == 4)
        return find(name).single;
    else
        return find(name).precise;
}

template <class Array> long axis(const char* name, const Array& array, std::size_t i) {
    if (array.ndim() <= i) throw nb::value_error((std::string(name) + ": unexpected shape").c_str());
    return long(array.shape(i));
}

// The sizes that a circuit's angles agree on.
template <class T>
std::pair<long, long> frames_and_pixels(const CircuitSpec& spec, const In<T>& embedding,
                                        const In<T>& rotations, const In<T>& controlled) {
    const long f = axis("embedding", embedding, 0), p = axis("embedding", embedding, 1);
    require("embedding", embedding, {f, p, spec.features});
    require("rotations", rotations, {f, spec.rotations()});
    require("controlled", controlled, {f, spec.controlled()});
    return {f, p};
}

template <class T>
void probabilities(const CircuitSpec& spec, In<T> embedding, In<T> rotations, In<T> controlled,
                   Out<T> out, int threads, const std::string& isa) {
    const auto [f, p] = frames_and_pixels(spec, embedding, rotations, controlled);
    require("out", out, {f, p, spec.outputs});
    const AngleArrays<T> arrays{f,       p,          embedding.data(), rotations.data(),
                                controlled.data(), nullptr, out.data(), nullptr,
                                nullptr, nullptr};
    const auto& chosen = kernels<T>(isa);
    nb::gil_scoped_release release;
    compute_angles(chosen, spec, arrays, threads);
}

template <class T>
void gradients(const CircuitSpec& spec, In<T> embedding, In<T> rotations, In<T> controlled,
               In<T> cotangent, Out<T> out, Out<T> by_embedding, Out<T> by_rotations,
               Out<T> by_controlled, int threads, const std::string& isa) {
    const auto [f, p] = frames_and_pixels(spec, embedding, rotations, controlled);
    require("cotangent", cotangent, {f, p, spec.outputs});
    require("out", out, {f, p, spec.outputs});
    require("by_embedding", by_embedding, {f, p, spec.features});
    require("by_rotations", by_rotations, {f, spec.rotations()});
    require("by_controlled", by_controlled, {f, spec.controlled()});
    const AngleArrays<T> arrays{f,
                                p,
                                embedding.data(),
                                rotations.data(),
                                controlled.data(),
                                cotangent.data(),
                                out.data(),
                                by_embedding.data(),
                                by_rotations.data(),
                                by_controlled.data()};
    const auto& chosen = kernels<T>(isa);
    nb::gil_scoped_release release;
    compute_angles(chosen, spec, arrays, threads);
}

template <class T>
void jacobian(const CircuitSpec& spec, In<T> embedding, In<T> rotations, In<T> controlled,
              Out<T> out, Out<T> by_embedding, Out<T> by_rotations, Out<T> by_controlled,
              int threads, const std::string& isa) {
    const auto [f, p] = frames_and_pixels(spec, embedding, rotations, controlled);
    require("out", out, {f, spec.outputs, p});
    require("by_embedding", by_embedding, {f, spec.outputs, spec.features, p});
    require("by_rotations", by_rotations, {f, spec.outputs, spec.rotations(), p});
    require("by_controlled", by_controlled, {f, spec.outputs, spec.controlled(), p});
    const JacobianArrays<T> arrays{f,
                                   p,
                                   embedding.data(),
                                   rotations.data(),
                                   controlled.data(),
                                   out.data(),
                                   by_embedding.data(),
                                   by_rotations.data(),
                                   by_controlled.data()};
    const auto& chosen = kernels<T>(isa);
    nb::gil_scoped_release release;
    compute_jacobian(chosen, spec, arrays, threads);
}

template <class T>
void values(const FieldSpec& spec, In<T> parameters, In<T> coordinates, Out<T> out, int threads,
            const std::string& isa) {
    const long f = axis("parameters", parameters, 0), p = axis("coordinates", coordinates, 1);
    const long sets = axis("coordinates", coordinates, 0);
    require("parameters", parameters, {f, spec.size()});
    require("coordinates", coordinates, {sets == 1 ? 1 : f, p, spec.sizes.inputs});
    require("out", out, {f, p, spec.sizes.read_out.channels});
    const ValueArrays<T> arrays{f, p, sets == 1, parameters.data(), coordinates.data(), out.data()};
    const auto& chosen = kernels<T>(isa);
    nb::gil_scoped_release release;
    compute_values(chosen, spec, arrays, threads);
}

std::unique_ptr<Trainer> make_trainer(const FieldSpec& spec, In<float> coordinates, In<float> targets,
                     In<float> parameters, In<float> factors, long batch, double weight_decay,
                     double beta1, double beta2, std::uint64_t seed, int threads,
                     const std::string& isa) {
    const long f = axis("targets", targets, 0), p = axis("coordinates", coordinates, 0);
    require("coordinates", coordinates, {p, spec.sizes.inputs});
    require("targets", targets, {f, p, spec.sizes.read_out.channels});
    require("parameters", parameters, {f, spec.size()});
    require("factors", factors, {spec.size()});
    if (f < 1 || p < 1 || p > 0x7fffffff || batch < 1)
        throw nb::value_error("expected a frame, a sample and a batch at least");
    return std::make_unique<Trainer>(kernels<float>(isa), spec, f, p, copied(coordinates),
                                     copied(targets), copied(parameters), copied(factors),
                                     TrainerSettings{batch, weight_decay, beta1, beta2, seed, threads});
}

std::vector<double> run(Trainer& trainer, const std::vector<double>& rates) {
    std::vector<double> losses(rates.size());
    nb::gil_scoped_release release;
    losses.resize(std::size_t(trainer.run(rates.data(), long(rates.size()), losses.data())));
    return losses;
}

void rotate(Trainer& trainer, In<float> basis, In<float> turn) {
    const long size = trainer.size();
    require("basis", basis, {trainer.frames(), size, size});
    require("turn", turn, {trainer.frames(), size, size});
    nb::gil_scoped_release release;
    trainer.rotate(basis.data(), turn.data());
}

std::vector<int> batch(std::uint64_t seed, std::uint64_t step, long samples, long size) {
    std::vector<int> drawn(static_cast<std::size_t>(size));
    draw_batch(seed, step, samples, size, 0, size, drawn.data());
    return drawn;
}

double fma_peak(const std::string& isa, long repeats) {
    const InstructionSet& set = find(isa);
    nb::gil_scoped_release release;
    const auto began = std::chrono::steady_clock::now();
    const double done = set.fma_peak(repeats);
    return done / std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

template <class T> void bind_arithmetic(nb::module_& m) {
    using namespace nb::literals;
    const auto spec = "spec"_a, threads = "threads"_a, isa = "isa"_a;
    const auto embedding = array("embedding"), out = array("out");
    const auto rotations = array("rotations"), controlled = array("controlled");
    const auto by_embedding = array("by_embedding"), by_rotations = array("by_rotations");
    const auto by_controlled = array("by_controlled");
    m.def("probabilities", probabilities<T>, spec, embedding, rotations, controlled, out, threads,
          isa);
    m.def("gradients", gradients<T>, spec, embedding, rotations, controlled, array("cotangent"),
          out, by_embedding, by_rotations, by_controlled, threads, isa);
    m.def("jacobian", jacobian<T>, spec, embedding, rotations, controlled, out, by_embedding,
          by_rotations, by_controlled, threads, isa);
    m.def("values", values<T>, spec, array("parameters"), array("coordinates"), out, threads, isa);
}

}  // namespace

void bind_strict(nb::module_& m);  // strict_bindings.cpp
void bind_layers(nb::module_& m);  // layer_bindings.cpp

NB_MODULE(_native, m) {
    using namespace nb::literals;
    // Specifications are cached until the interpreter ends, which nanobind takes for leaks.
    nb::set_leak_warnings(false);
    m.doc() = "The fused circuit kernel; see quinr_lidar.circuit.native.";
    nb::class_<CircuitSpec>(m, "CircuitSpec")
        .def(nb::init<int, int, int, int, int, std::vector<int>, std::vector<int>>(), "qubits"_a,
             "features"_a, "blocks"_a, "layers"_a, "outputs"_a, "order"_a, "pairs"_a);
    nb::class_<FieldSpec>(m, "FieldSpec")
        .def(nb::init<CircuitSpec, int, int, double, int, bool>(), "circuit"_a, "inputs"_a,
             "sine_layers"_a, "w0"_a, "channels"_a, "mixed"_a)
        .def_prop_ro("size", &FieldSpec::size);
    nb::class_<Trainer>(m, "Trainer")
        .def("run", run, "rates"_a)
        .def("rotate", rotate, array("basis"), array("turn"))
        .def("parameters", &Trainer::parameters);
    m.def("trainer", make_trainer, "spec"_a, array("coordinates"), array("targets"),
          array("parameters"), array("factors"), "batch"_a, "weight_decay"_a, "beta1"_a,
          "beta2"_a, "seed"_a, "threads"_a, "isa"_a);
    bind_arithmetic<float>(m);
    bind_arithmetic<double>(m);
    bind_strict(m);
    bind_layers(m);
    m.def("draw_batch", batch, "seed"_a, "step"_a, "samples"_a, "size"_a);
    m.def("fma_peak", fma_peak, "isa"_a, "repeats"_a);
    m.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const InstructionSet* set : instruction_sets()) names.emplace_back(set->name);
        return names;
    });
}
