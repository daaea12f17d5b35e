// Aligned memory, one piece for each thread.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace quinr {

class Workspaces {
   public:
    Workspaces(int count, long bytes) {
        // Whole cache lines, so that two threads never write to the same one.
        const auto size = (std::size_t(bytes) + 63) / 64 * 64;
        for (int i = 0; i < count; ++i)
            pieces_.push_back(static_cast<char*>(::operator new(size, std::align_val_t(64))));
    }
    ~Workspaces() {
        for (char* piece : pieces_) ::operator delete(piece, std::align_val_t(64));
    }
    Workspaces(const Workspaces&) = delete;
    Workspaces& operator=(const Workspaces&) = delete;

    void* operator[](int worker) const { return pieces_[std::size_t(worker)]; }

   private:
    std::vector<char*> pieces_;
};

}  // namespace quinr
