// Streams, events and graphs.
//
// A stream is a queue of operations. They run when something waits for them: a synchronisation, a
// copy to ordinary host memory, a query (which first answers that they are not ready), or when many
// have gathered. A stream that is captured hands its operations to a graph instead.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "api.h"

namespace emulator {

// Runs on the device, if no fault came before.
using Work = std::function<void()>;

// Whose calls outside the captured stream a capture refuses: everyone's, the captor's, nobody's.
enum class CaptureMode { global, thread_local_, relaxed };

struct Graph {
    std::vector<Work> operations;
};

struct Stream {
    bool blocking;  // waits for the NULL stream, and that for it
    std::deque<Work> queue = {};
    Graph* capture = nullptr;
    CaptureMode mode = CaptureMode::global;
    std::thread::id captor = {};  // thread that began the capture
    bool invalidated = false;     // something illegal happened during the capture
};

// Null if the handle is not one.
Stream* stream_of(void* handle);
// Adds an operation.
void enqueue(Stream& stream, Work operation);
// Runs what the stream holds.
void drain(Stream& stream);
// Runs everything; refused while a stream is captured.
Result drain_all();
// Runs everything that is not captured.
void run_everything();
// A call that may not be made while a stream is captured: invalidates the captures that refuse it.
Result refuse_capture();
// A call on a captured stream that no graph can hold: ends its capture.
Result invalidate(Stream& stream);
// Forgets all operations and captures.
void drop_streams();

}  // namespace emulator
