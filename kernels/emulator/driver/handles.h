// Objects that the caller knows by handle: what is not one is refused instead of followed.
#pragma once

#include <unordered_set>

namespace emulator {

template <typename T>
class Handles {
  public:
    T* add(T* object) {
        all.insert(object);
        return object;
    }
    T* find(void* handle) const {
        return all.count(static_cast<T*>(handle)) > 0 ? static_cast<T*>(handle) : nullptr;
    }
    // False if it is none of these.
    bool remove(T* object) {
        if (object == nullptr || all.erase(object) == 0) return false;
        delete object;
        return true;
    }
    auto begin() const { return all.begin(); }
    auto end() const { return all.end(); }

  private:
    std::unordered_set<T*> all;
};

}  // namespace emulator
