// Threads that share out numbered tasks.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace quinr {

// Lives as long as one computation: nothing global, so calls from several threads do not meet,
// and nothing survives a fork. Which thread does a task must not matter for its result.
class Team {
   public:
    explicit Team(int threads) {
        for (int worker = 1; worker < threads; ++worker)
            threads_.emplace_back([this, worker] { serve(worker); });
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    ~Team() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_ = true;
            ++round_;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    int size() const { return int(threads_.size()) + 1; }

    // Calls task(number, worker) for every number below `tasks`; returns when all are done.
    // Tasks must not throw.
    void run(long tasks, const std::function<void(long, int)>& task) {
        next_ = 0;
        if (threads_.empty() || tasks < 2) {
            for (long number = 0; number < tasks; ++number) task(number, 0);
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            task_ = &task;
            tasks_ = tasks;
            busy_ = int(threads_.size());
            ++round_;
        }
        wake_.notify_all();
        work(0);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
    }

   private:
    void work(int worker) {
        for (long number; (number = next_.fetch_add(1)) < tasks_;) (*task_)(number, worker);
    }

    void serve(int worker) {
        for (unsigned long seen = 0;;) {
            // A training step ends in well under a millisecond: look for the next one for a
            // moment before going to sleep.
            for (int spin = 0; spin < 2000 && round_ == seen; ++spin) std::this_thread::yield();
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return round_ != seen; });
                seen = round_;
                if (stop_) return;
            }
            work(worker);
            std::lock_guard<std::mutex> lock(mutex_);
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::atomic<unsigned long> round_{0};
    std::atomic<long> next_{0};
    const std::function<void(long, int)>* task_ = nullptr;
    long tasks_ = 0;
    int busy_ = 0;
    bool stop_ = false;
};

// How many threads are worth starting.
inline int useful_threads(int wanted, long tasks) {
    return int(std::max(1L, std::min(long(wanted), tasks)));
}

}  // namespace quinr
