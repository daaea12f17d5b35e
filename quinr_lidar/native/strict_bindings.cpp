// Python bindings of the strict functions, for tests and for the training of entropy models. Shapes
// are checked here, since a wrong one would write to foreign memory.

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <utility>

#include "binding_arrays.hpp"
#include "strict/conditional_field.hpp"
#include "strict/instruction_sets.hpp"
#include "strict/range_coder.hpp"

using namespace quinr;

namespace {

void make_field(strict::ConditionalField* self, const CircuitSpec& circuit, int inputs, int outputs,
                const std::vector<int>& widths, In<float> weight, In<float> bias,
                float embedding_scale, In<float> rotations, In<float> controlled,
                In<float> readout, In<float> offset) {
    new (self) strict::ConditionalField(
        circuit, inputs, outputs,
        {widths, copied(weight), copied(bias), embedding_scale, copied(rotations), copied(controlled),
         copied(readout), copied(offset)});
}

// Pixels of [count][width] to or from [width][max_batch].
void to_lanes(const float* from, long width, int count, float* to) {
    for (int i = 0; i < count; ++i)
        for (long k = 0; k < width; ++k) to[k * strict::max_batch + i] = from[i * width + k];
}
void from_lanes(const float* from, long width, int count, float* to) {
    for (int i = 0; i < count; ++i)
        for (long k = 0; k < width; ++k) to[i * width + k] = from[k * strict::max_batch + i];
}

void evaluate(const strict::ConditionalField& field, In<float> x, Out<float> out,
              const std::string& isa) {
    if (x.ndim() < 1) throw nb::value_error("x: unexpected shape");
    const long pixels = long(x.shape(0));
    require("x", x, {pixels, field.inputs()});
    require("out", out, {pixels, field.outputs()});
    const strict::Lanes& lanes = strict::find_lanes(isa);
    nb::gil_scoped_release release;
    const strict::Environment environment;
    strict::Workspace workspace(field);
    std::vector<float> inputs(std::size_t(field.inputs() * strict::max_batch));
    std::vector<float> outputs(std::size_t(field.outputs() * strict::max_batch));
    for (long first = 0; first < pixels; first += strict::max_batch) {
        const int count = int(std::min(pixels - first, long(strict::max_batch)));
        to_lanes(x.data() + first * field.inputs(), field.inputs(), count, inputs.data());
        field.evaluate(environment, lanes,
                       {inputs.data(), outputs.data(), strict::max_batch, count}, workspace);
        from_lanes(outputs.data(), field.outputs(), count, out.data() + first * field.outputs());
    }
}

strict::Function function_of(const std::string& name) {
    constexpr std::pair<const char*, strict::Function> functions[] = {
        {"sin", strict::Function::sine},        {"cos", strict::Function::cosine},
        {"exp", strict::Function::exponential}, {"log", strict::Function::logarithm},
        {"sigmoid", strict::Function::sigmoid}};
    for (const auto& [known, function] : functions)
        if (name == known) return function;
    throw nb::value_error(("function: there is no " + name).c_str());
}

void apply(const std::string& name, In<float> x, Out<float> out, const std::string& isa) {
    const strict::Function function = function_of(name);
    const auto size = long(x.size());
    require("x", x, {size});
    require("out", out, {size});
    const strict::Lanes& lanes = strict::find_lanes(isa);
    nb::gil_scoped_release release;
    const strict::Environment environment;
    float from[strict::batch_step] = {}, to[strict::batch_step];
    for (long i = 0; i < size; i += strict::batch_step) {
        const long count = std::min(size - i, long(strict::batch_step));
        std::copy(x.data() + i, x.data() + i + count, from);
        lanes.apply(function, from, to, strict::batch_step);
        std::copy(to, to + count, out.data() + i);
    }
}

void double_sincos(In<double> x, Out<double> sine, Out<double> cosine) {
    const auto size = long(x.size());
    require("x", x, {size});
    require("sine", sine, {size});
    require("cosine", cosine, {size});
    const strict::Environment environment;
    for (long i = 0; i < size; ++i)
        strict::precise_sincos(x.data()[i], sine.data()[i], cosine.data()[i]);
}

nb::bytes range_encode(In<std::uint8_t> bits, In<std::uint16_t> probabilities) {
    const auto size = long(bits.size());
    require("bits", bits, {size});
    require("probabilities", probabilities, {size});
    strict::RangeEncoder encoder;
    for (long i = 0; i < size; ++i)
        encoder.encode(bits.data()[i] != 0, probabilities.data()[i]);
    const std::vector<std::uint8_t> bytes = encoder.finish();
    return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::size_t range_decode(const nb::bytes& bytes, In<std::uint16_t> probabilities,
                         Out<std::uint8_t> bits) {
    const auto size = long(bits.size());
    require("bits", bits, {size});
    require("probabilities", probabilities, {size});
    strict::RangeDecoder decoder(reinterpret_cast<const std::uint8_t*>(bytes.c_str()), bytes.size());
    for (long i = 0; i < size; ++i) bits.data()[i] = decoder.decode(probabilities.data()[i]);
    return decoder.overrun();
}

}  // namespace

void bind_strict(nb::module_& m) {
    using namespace nb::literals;
    nb::class_<strict::ConditionalField>(m, "StrictField")
        .def("__init__", make_field, "circuit"_a, "inputs"_a, "outputs"_a, "widths"_a,
             array("weight"), array("bias"), "embedding_scale"_a, array("rotations"), array("controlled"),
             array("readout"), array("offset"))
        .def("evaluate", evaluate, array("x"), array("out"), "isa"_a);
    m.def("strict_function", apply, "name"_a, array("x"), array("out"), "isa"_a);
    m.def("strict_sincos", double_sincos, array("x"), array("sine"), array("cosine"));
    m.def("range_encode", range_encode, array("bits"), array("probabilities"));
    m.def("range_decode", range_decode, "data"_a, array("probabilities"), array("bits"));
}
