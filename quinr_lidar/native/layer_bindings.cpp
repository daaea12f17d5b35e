// Python's view of the mask and the ranges layer. Shapes are checked here, since a wrong one would
// read or write foreign memory; values that would are checked as well.

#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>

#include "binding_arrays.hpp"
#include "strict/instruction_sets.hpp"
#include "strict/mask.hpp"
#include "strict/mask_model.hpp"
#include "strict/ranges.hpp"

using namespace quinr;

namespace {

constexpr long most_pixels = 1 << 26;  // pixel numbers are 32 bits wide

template <class Array> strict::Image image_of(const Array& mask) {
    if (mask.ndim() != 2 || mask.shape(0) < 1 || mask.shape(1) < 1 ||
        long(mask.size()) > most_pixels)
        throw nb::value_error("mask: expected [height, width], not empty and of 2^26 pixels at most");
    return {mask.data(), long(mask.shape(0)), long(mask.shape(1))};
}

strict::Model model_of(const strict::ConditionalField& field, const std::string& isa) {
    return {field, strict::find_lanes(isa)};
}

nb::bytes bytes_of(const std::vector<std::uint8_t>& bytes) {
    return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

const std::uint8_t* start_of(const nb::bytes& bytes) {
    return reinterpret_cast<const std::uint8_t*>(bytes.c_str());
}

nb::bytes encode_mask(const strict::ConditionalField& field, In<std::uint8_t> mask,
                      const std::string& isa) {
    const strict::Image image = image_of(mask);
    const strict::Model model = model_of(field, isa);
    strict::check_mask_model(model);
    std::vector<std::uint8_t> bytes;
    {
        nb::gil_scoped_release release;
        bytes = strict::encode_mask(model, image);
    }
    return bytes_of(bytes);
}

bool decode_mask(const strict::ConditionalField& field, const nb::bytes& bytes,
                 Out<std::uint8_t> mask, const std::string& isa) {
    const strict::Image image = image_of(mask);
    const strict::Model model = model_of(field, isa);
    strict::check_mask_model(model);
    const std::uint8_t* start = start_of(bytes);
    const std::size_t size = bytes.size();
    nb::gil_scoped_release release;
    return strict::decode_mask(model, image.height, image.width, start, size, mask.data());
}

void check_step(float step) {
    if (!(step >= strict::smallest_step && step <= strict::largest_step))
        throw nb::value_error("step: expected 1e-6 .. 1e6");
}

// What encoding and decoding of ranges are given, checked.
struct Ranges {
    strict::Image image;
    std::vector<float> linear;
    strict::RangeModel model;

    template <class Steps>
    Ranges(const strict::ConditionalField& field, const In<float>& moves,
           const In<std::uint8_t>& mask, float step, const Steps& steps, const std::string& isa)
        : image(image_of(mask)), linear(copied(moves)), model{model_of(field, isa), linear} {
        strict::check_range_model(model);
        check_step(step);
        require("steps", steps, {image.height, image.width});
    }
    Ranges(const Ranges&) = delete;  // the model refers to its own list
    Ranges& operator=(const Ranges&) = delete;
};

nb::bytes encode_ranges(const strict::ConditionalField& field, In<float> linear,
                        In<std::uint8_t> mask, float step, In<std::int32_t> steps,
                        const std::string& isa) {
    const Ranges ranges(field, linear, mask, step, steps, isa);
    const strict::Image& image = ranges.image;
    for (long p = 0; p < image.height * image.width; ++p)
        if (image.mask[p] && (steps.data()[p] < 0 || steps.data()[p] > strict::most_steps))
            throw nb::value_error("steps: expected 0 .. 2^30");
    std::vector<std::uint8_t> bytes;
    {
        nb::gil_scoped_release release;
        bytes = strict::encode_ranges(ranges.model, image, step, steps.data());
    }
    return bytes_of(bytes);
}

bool decode_ranges(const strict::ConditionalField& field, In<float> linear, const nb::bytes& bytes,
                   In<std::uint8_t> mask, float step, Out<std::int32_t> steps,
                   const std::string& isa) {
    const Ranges ranges(field, linear, mask, step, steps, isa);
    const std::uint8_t* start = start_of(bytes);
    const std::size_t size = bytes.size();
    nb::gil_scoped_release release;
    return strict::decode_ranges(ranges.model, ranges.image, step, start, size, steps.data());
}

void mask_inputs(In<std::uint8_t> mask, Out<float> inputs) {
    const strict::Image image = image_of(mask);
    require("inputs", inputs, {strict::mask_model::inputs, image.height * image.width});
    nb::gil_scoped_release release;
    strict::mask_inputs(image, inputs.data());
}

// Neighbours become ranks among the measured pixels.
void range_context(In<std::uint8_t> mask, Out<std::int32_t> context) {
    const strict::Image image = image_of(mask);
    const long pixels = image.height * image.width;
    const long measured = pixels - std::count(image.mask, image.mask + pixels, 0);
    require("context", context, {strict::range_context::rows, measured});
    nb::gil_scoped_release release;
    const strict::Neighbourhood around(image.mask, image.height, image.width);
    std::vector<std::int32_t> rank(static_cast<std::size_t>(pixels));
    std::int32_t next = 0;
    for (long p = 0; p < pixels; ++p) {
        if (!image.mask[p]) continue;
        rank[std::size_t(p)] = next;
        std::int32_t* to = context.data() + next++;
        around.look(p / image.width, p % image.width, to, measured);
        for (int k = 0; k < strict::range_context::neighbours; ++k, to += measured)
            if (*to != strict::range_context::missing) *to = rank[std::size_t(*to)];
    }
}


void range_inputs(In<std::int32_t> context, In<std::int32_t> base, In<float> step, In<float> unit,
                  Out<float> differences, Out<float> inputs, const std::string& isa) {
    const auto pixels = long(base.size());
    if (pixels % strict::batch_step) throw nb::value_error("base: expected a multiple of 16 pixels");
    require("base", base, {pixels});
    require("context", context, {strict::range_context::rows, pixels});
    require("step", step, {pixels});
    require("unit", unit, {pixels});
    require("differences", differences, {strict::range_context::neighbours, pixels});
    require("inputs", inputs, {strict::range_model::inputs, pixels});
    const strict::Lanes& lanes = strict::find_lanes(isa);
    nb::gil_scoped_release release;
    const strict::Environment environment;
    lanes.range_inputs({context.data(), base.data(), step.data(), unit.data(), differences.data(),
                        inputs.data(), pixels},
                       int(pixels));
}

void mixture(In<float> differences, In<float> outputs, In<float> linear, In<float> step,
             In<float> unit, Out<float> mean, Out<float> sharpness, Out<float> weight,
             const std::string& isa) {
    using namespace strict::range_model;
    const auto pixels = long(step.size());
    if (pixels % strict::batch_step) throw nb::value_error("step: expected a multiple of 16 pixels");
    require("step", step, {pixels});
    require("unit", unit, {pixels});
    require("differences", differences, {strict::range_context::neighbours, pixels});
    require("outputs", outputs, {strict::range_model::outputs, pixels});
    require("linear", linear, {components, strict::range_context::neighbours});
    for (Out<float>* to : {&mean, &sharpness, &weight}) require("mixture", *to, {components, pixels});
    const strict::Lanes& lanes = strict::find_lanes(isa);
    nb::gil_scoped_release release;
    const strict::Environment environment;
    lanes.mixture({differences.data(), outputs.data(), linear.data(), step.data(), unit.data(),
                   mean.data(), sharpness.data(), weight.data(), pixels},
                  int(pixels));
}

// Constants of the format that Python needs as well: they are written down once, in C++.
nb::dict format_constants() {
    using namespace strict;
    nb::dict d;
    d["mask_inputs"] = mask_model::inputs;
    d["mask_outputs"] = mask_model::outputs;
    d["range_inputs"] = range_model::inputs;
    d["range_outputs"] = range_model::outputs;
    d["components"] = range_model::components;
    d["neighbours"] = range_context::neighbours;
    d["context_rows"] = range_context::rows;
    d["second_left"] = range_context::second_left;
    d["straight_up"] = range_context::straight_up;
    d["second_up"] = range_context::second_up;
    d["missing"] = range_context::missing;
    d["batch_step"] = batch_step;
    d["noise"] = range_model::noise;
    d["first_guess"] = range_model::first_guess;
    d["farthest_slope"] = range_model::farthest_slope;
    d["farthest_linear"] = range_model::farthest_linear;
    d["smallest_log_scale"] = range_model::smallest_log_scale;
    d["largest_log_scale"] = range_model::largest_log_scale;
    d["most_steps"] = most_steps;
    d["smallest_step"] = smallest_step;
    d["largest_step"] = largest_step;
    return d;
}

}  // namespace

void bind_layers(nb::module_& m) {
    using namespace nb::literals;
    m.def("format_constants", format_constants);
    m.def("encode_mask", encode_mask, "field"_a, array("mask"), "isa"_a);
    m.def("decode_mask", decode_mask, "field"_a, "data"_a, array("mask"), "isa"_a);
    m.def("encode_ranges", encode_ranges, "field"_a, array("linear"), array("mask"), "step"_a,
          array("steps"), "isa"_a);
    m.def("decode_ranges", decode_ranges, "field"_a, array("linear"), "data"_a, array("mask"),
          "step"_a, array("steps"), "isa"_a);
    m.def("mask_inputs", mask_inputs, array("mask"), array("inputs"));
    m.def("range_context", range_context, array("mask"), array("context"));
    m.def("range_inputs", range_inputs, array("context"), array("base"), array("step"),
          array("unit"), array("differences"), array("inputs"), "isa"_a);
    m.def("mixture", mixture, array("differences"), array("outputs"), array("linear"),
          array("step"), array("unit"), array("mean"), array("sharpness"), array("weight"),
          "isa"_a);
}
