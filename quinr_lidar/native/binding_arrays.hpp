// What all bindings share: NumPy arrays taken as they are, and their shapes checked, since a wrong
// one would read or write foreign memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>
#include <vector>

namespace quinr {

namespace nb = nanobind;

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

template <class Array> void require(const char* name, const Array& array, std::vector<long> shape) {
    bool same = array.ndim() == shape.size();
    for (std::size_t i = 0; same && i < shape.size(); ++i) same = long(array.shape(i)) == shape[i];
    if (!same) throw nb::value_error((std::string(name) + ": unexpected shape").c_str());
}

// An array is taken as it is: a converted copy of an output would be filled and thrown away.
inline auto array(const char* name) { return nb::arg(name).noconvert(); }

template <class T> std::vector<T> copied(const In<T>& array) {
    return std::vector<T>(array.data(), array.data() + array.size());
}

}  // namespace quinr
