// Events: a mark in a stream, with the time at which the device passed it.
#include <chrono>
#include <memory>

#include "handles.h"
#include "stream.h"

namespace emulator {

using Clock = std::chrono::steady_clock;

// One recording of an event.
struct Mark {
    void* stream;
    bool passed;
    Clock::time_point time;
};

struct Event {
    bool timed;
    bool captured = false;                // recorded last in a capture: only the graph knows it
    std::shared_ptr<Mark> mark = nullptr;  // none: never recorded
};

static Handles<Event> events;

static void pass(Mark& mark) {
    mark.passed = true;
    mark.time = Clock::now();
}

// Runs the mark's stream until it is passed, or a fault ended everything.
static void reach(const Mark& mark) {
    Stream* stream = stream_of(mark.stream);
    if (!mark.passed && stream != nullptr) drain(*stream);
}

}  // namespace emulator

using namespace emulator;

API cuEventCreate(void** result, unsigned flags) {
    return with_context([&] {
        if (result == nullptr || flags > 3) return INVALID_VALUE;
        *result = events.add(new Event{(flags & 2) == 0});
        return SUCCESS;
    });
}

API cuEventDestroy_v2(void* handle) {
    return with_context(
        [&] { return events.remove(events.find(handle)) ? SUCCESS : INVALID_HANDLE; });
}

API cuEventRecord(void* handle, void* stream_handle) {
    return with_context([&] {
        Event* event = events.find(handle);
        Stream* stream = stream_of(stream_handle);
        if (event == nullptr || stream == nullptr) return INVALID_HANDLE;
        event->captured = stream->capture != nullptr;
        // A graph's mark is passed again in every replay.
        const auto mark = std::make_shared<Mark>(Mark{stream_handle, false, {}});
        event->mark = mark;
        enqueue(*stream, [mark] { pass(*mark); });
        return SUCCESS;
    });
}

API cuEventQuery(void* handle) {
    return with_context([&] {
        Event* event = events.find(handle);
        if (event == nullptr) return INVALID_HANDLE;
        if (event->captured) return CAPTURED_EVENT;
        if (event->mark == nullptr || event->mark->passed) return SUCCESS;
        reach(*event->mark);
        return NOT_READY;
    });
}

API cuEventSynchronize(void* handle) {
    return with_context([&] {
        Event* event = events.find(handle);
        if (event == nullptr) return INVALID_HANDLE;
        if (event->captured) return CAPTURED_EVENT;
        if (event->mark != nullptr) reach(*event->mark);
        return SUCCESS;
    });
}

API cuEventElapsedTime(float* milliseconds, void* start_handle, void* end_handle) {
    return with_context([&] {
        Event* start = events.find(start_handle);
        Event* end = events.find(end_handle);
        if (milliseconds == nullptr) return INVALID_VALUE;
        if (start == nullptr || end == nullptr || !start->timed || !end->timed ||
            start->mark == nullptr || end->mark == nullptr) {
            return INVALID_HANDLE;
        }
        if (start->captured || end->captured) return CAPTURED_EVENT;
        if (!start->mark->passed || !end->mark->passed) return NOT_READY;
        *milliseconds =
            std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
        return SUCCESS;
    });
}

API cuEventElapsedTime_v2(float* milliseconds, void* start, void* end) {
    return cuEventElapsedTime(milliseconds, start, end);
}

API cuStreamWaitEvent(void* stream_handle, void* handle, unsigned) {
    return with_context([&] {
        Event* event = events.find(handle);
        Stream* stream = stream_of(stream_handle);
        if (event == nullptr || stream == nullptr) return INVALID_HANDLE;
        if (event->mark == nullptr) return SUCCESS;
        // Within one stream the order is there already; captures of several streams are not made here.
        if (stream_of(event->mark->stream) == stream) return SUCCESS;
        if (event->captured || stream->capture != nullptr) {
            stream->invalidated = stream->capture != nullptr;
            return CAPTURE_ISOLATION;
        }
        enqueue(*stream, [mark = event->mark] { reach(*mark); });
        return SUCCESS;
    });
}
