#include "stream.h"

#include "handles.h"

namespace emulator {

// So many operations gather at most before the oldest run.
constexpr size_t GATHERED = 256;

static Stream null_stream = {true};
static Handles<Stream> streams;

template <typename Action>
static void each(Action action) {
    action(null_stream);
    for (Stream* stream : streams) action(*stream);
}

Stream* stream_of(void* handle) {
    // Null and the two values that stand for the default streams.
    if (reinterpret_cast<uintptr_t>(handle) <= 2) return &null_stream;
    return streams.find(handle);
}

void drain(Stream& stream) {
    while (!stream.queue.empty()) {
        const Work next = std::move(stream.queue.front());
        stream.queue.pop_front();
        if (context.fault == SUCCESS) next();
    }
}

void enqueue(Stream& stream, Work operation) {
    if (stream.capture != nullptr) {
        stream.capture->operations.push_back(std::move(operation));
        return;
    }
    if (&stream == &null_stream) {
        for (Stream* other : streams) {
            if (other->blocking) drain(*other);
        }
    } else if (stream.blocking) {
        drain(null_stream);
    }
    stream.queue.push_back(std::move(operation));
    if (stream.queue.size() > GATHERED) drain(stream);
}

void run_everything() {
    each([](Stream& stream) { drain(stream); });
}

Result refuse_capture() {
    bool refused = false;
    each([&](Stream& stream) {
        if (stream.capture == nullptr || stream.mode == CaptureMode::relaxed) return;
        const bool own = stream.captor == std::this_thread::get_id();
        if (stream.mode == CaptureMode::thread_local_ && !own) return;
        stream.invalidated = refused = true;
    });
    return refused ? CAPTURE_UNSUPPORTED : SUCCESS;
}

Result drain_all() {
    if (const Result result = refuse_capture()) return result;
    run_everything();
    return SUCCESS;
}

Result invalidate(Stream& stream) {
    stream.invalidated = true;
    return CAPTURE_UNSUPPORTED;
}

void drop_streams() {
    each([](Stream& stream) {
        stream.queue.clear();
        delete stream.capture;
        stream.capture = nullptr;
        stream.invalidated = false;
    });
}

// Graphs and their executables; a graph may go before its executables.
static Handles<Graph> graphs;
struct Executable {
    std::vector<Work> operations;
};
static Handles<Executable> executables;

}  // namespace emulator

using namespace emulator;

API cuStreamCreate(void** result, unsigned flags) {
    return with_context([&] {
        if (result == nullptr || flags > 1) return INVALID_VALUE;
        *result = streams.add(new Stream{flags == 0});
        return SUCCESS;
    });
}

API cuStreamCreateWithPriority(void** result, unsigned flags, int) {
    return cuStreamCreate(result, flags);
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    return with_context([&] {
        if (least != nullptr) *least = 0;
        if (greatest != nullptr) *greatest = 0;
        return SUCCESS;
    });
}

API cuStreamDestroy_v2(void* handle) {
    return with_context([&] {
        Stream* stream = streams.find(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        drain(*stream);
        delete stream->capture;
        streams.remove(stream);
        return SUCCESS;
    });
}

API cuStreamSynchronize(void* handle) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (stream->capture != nullptr) return invalidate(*stream);
        drain(*stream);
        return SUCCESS;
    });
}

API cuStreamQuery(void* handle) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (stream->capture != nullptr) return invalidate(*stream);
        const bool ready = stream->queue.empty();
        drain(*stream);
        return ready ? SUCCESS : NOT_READY;
    });
}

API cuLaunchHostFunc(void* handle, void (*function)(void*), void* argument) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (function == nullptr) return INVALID_VALUE;
        enqueue(*stream, [=] { function(argument); });
        return SUCCESS;
    });
}

// ---- capture

API cuStreamBeginCapture_v2(void* handle, int mode) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (mode < 0 || mode > 2) return INVALID_VALUE;
        if (stream == &null_stream) return CAPTURE_UNSUPPORTED;
        if (stream->capture != nullptr) return ILLEGAL_STATE;
        stream->capture = new Graph;
        stream->mode = CaptureMode(mode);
        stream->captor = std::this_thread::get_id();
        stream->invalidated = false;
        return SUCCESS;
    });
}

API cuStreamEndCapture(void* handle, void** graph) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (graph == nullptr) return INVALID_VALUE;
        if (stream->capture == nullptr) return CAPTURE_UNMATCHED;
        Graph* captured = stream->capture;
        stream->capture = nullptr;
        *graph = nullptr;
        if (stream->invalidated) {
            delete captured;
            return CAPTURE_INVALIDATED;
        }
        *graph = graphs.add(captured);
        return SUCCESS;
    });
}

API cuStreamIsCapturing(void* handle, int* status) {
    return with_context([&] {
        Stream* stream = stream_of(handle);
        if (stream == nullptr) return INVALID_HANDLE;
        if (status == nullptr) return INVALID_VALUE;
        *status = stream->capture == nullptr ? 0 : stream->invalidated ? 2 : 1;
        return SUCCESS;
    });
}

API cuGraphInstantiateWithFlags(void** result, void* handle, unsigned long long) {
    return with_context([&] {
        Graph* graph = graphs.find(handle);
        if (result == nullptr || graph == nullptr) return INVALID_VALUE;
        *result = executables.add(new Executable{graph->operations});
        return SUCCESS;
    });
}

API cuGraphUpload(void* handle, void* stream) {
    return with_context([&] {
        return executables.find(handle) && stream_of(stream) ? SUCCESS : INVALID_VALUE;
    });
}

API cuGraphLaunch(void* handle, void* stream_handle) {
    return with_context([&] {
        Executable* executable = executables.find(handle);
        Stream* stream = stream_of(stream_handle);
        if (executable == nullptr || stream == nullptr) return INVALID_VALUE;
        for (const Work& operation : executable->operations) enqueue(*stream, operation);
        return SUCCESS;
    });
}

API cuGraphExecDestroy(void* handle) {
    return with_context([&] {
        return executables.remove(executables.find(handle)) ? SUCCESS : INVALID_VALUE;
    });
}

API cuGraphDestroy(void* handle) {
    return with_context(
        [&] { return graphs.remove(graphs.find(handle)) ? SUCCESS : INVALID_VALUE; });
}
